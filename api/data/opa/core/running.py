"""The application that this process runs, and the functions by which plugins reach it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from opa.context import changed_context, current_context
from opa.core.groups import Groups, Outcome, run_each, run_each_async
from opa.current import current
from opa.errors import NotRunningError

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.core.plugin_tasks import PluginTasks

Registered = TypeVar("Registered")
_PACKAGE = __name__.partition(".")[0]


class SettingsOfPlugins(Protocol):
    """The settings of the plugins' own; see `opa.core.plugin_settings`."""

    def of(self, model: Any, /) -> Any:
        """The settings that `model` describes."""


class Manager(Protocol):
    """A plugin manager, as far as what follows needs it."""

    @property
    def tasks(self) -> PluginTasks:
        """Those of the plugins."""

    @property
    def groups(self) -> Groups:
        """What plugins register."""

    @property
    def plugin_settings(self) -> SettingsOfPlugins:
        """The settings of the plugins' own."""

    @property
    def sync_hooks(self) -> Mapping[str, Callable[..., Any]]:
        """The bound `run` of those that are synchronous, by name."""

    def hook(self, name: str, *, is_async: bool = False) -> Callable[..., Any]:
        """`run` of the hook `name`."""

    def get_component(self, name: str) -> Driver:
        """The driver instance of the component `name`."""


class Loading(NamedTuple):
    """What plugins can already use while they are imported.

    Attributes:
        tasks: what their tasks will belong to.
        task_components: the names of the components that give it, as plugins of the original opa-stack get it.
        groups: what they register.
        plugin_settings: their own settings.
    """

    tasks: PluginTasks
    task_components: frozenset[str]
    groups: Groups
    plugin_settings: SettingsOfPlugins


_NOTHING: Final[Any] = object()


def is_stopping() -> bool:
    """Whether the api stops: it waits for responses, and one that goes on, such as a stream of events, should end."""
    return current.is_stopping


def set_running(manager: Manager | None) -> None:
    """Make `manager` the one that this process runs."""
    current.manager, current.only_hooks = manager, {}
    if manager is not None:
        current.managers.add(manager)
        # While there is one only, no call of a hook has to ask which; a look in vain costs less than to ask first.
        if len(current.managers) == 1:
            current.only_hooks = manager.sync_hooks


@contextmanager
def belonging_to(manager: Manager) -> Iterator[None]:
    """What runs in the block, and what it starts, belongs to `manager`, whichever was made running last."""
    with changed_context() as context:
        context.manager = manager
        yield


@contextmanager
def loading(what: Loading) -> Iterator[None]:
    """While plugins are imported, no manager runs; this is what they have instead."""
    set_running(None)
    current.loading = what
    try:
        yield
    finally:
        current.loading = None


def current_tasks() -> PluginTasks | None:
    """What a task that is being made belongs to.

    It is that of the plugins that are being imported, or else that of the running manager; None where a plugin is
    imported by hand.
    """
    what: Loading | Manager | None = current.loading or current.manager
    return None if what is None else what.tasks


def current_groups() -> Groups:
    """The groups that a plugin registers in; those of nobody where it is imported by hand."""
    what: Loading | Manager | None = current.loading or current.manager
    return Groups() if what is None else what.groups


def current_plugin_settings() -> SettingsOfPlugins:
    """The settings of the plugins, also while they are imported.

    Raises:
        NotRunningError: no application was prepared in this process.
    """
    what: Loading | Manager = current.loading or running_manager()
    return what.plugin_settings


def running_manager() -> Manager:
    """The plugin manager of the application that this code runs for.

    Raises:
        NotRunningError: no application was prepared in this process.
    """
    manager: Manager | None = current_context.get().manager or current.manager
    if manager is None:
        raise NotRunningError(
            "no application runs in this process yet",
            hint="Call it inside a route, hook, task or setup, and not while a module is imported",
        )
    return manager


def refuse_inside_application(what: str, instead: str) -> None:
    """Let nobody make another application from within one, which would forget the plugins that run.

    Args:
        what: is about to be made.
        instead: what to use.

    Raises:
        NotRunningError: plugins are being imported, or this code runs for an application.
    """
    if current.loading is not None or current_context.get().manager is not None:
        raise NotRunningError(
            f"{what} cannot be made inside an application that is there already",
            hint=f"Take {instead} in a route, hook, task, setup or ready(), or make it in a program of its own",
        )


def get_component(name: str) -> Driver:
    """The driver instance of the component `name`; case does not matter.

    Raises:
        ComponentUnavailableError: it is not there; the message says why.
    """
    return running_manager().get_component(name)


def get_instance(name: str) -> Any:
    """The client of the component `name`: what `get_instance` of its driver gives; case does not matter.

    Raises:
        ComponentUnavailableError: it is not there, or known not to answer; the message says why. A route answers 503
            with it.
    """
    what: Loading | None = current.loading
    if what is not None and name.lower() in what.task_components:
        return what.tasks.application()
    return usable(get_component(name)).get_instance()


def get_util(name: str) -> Any:
    """What the driver of the component `name` offers as `util`.

    Raises:
        ComponentUnavailableError: the component is not there, or known not to answer.
        AttributeError: its driver has no `util`.
    """
    return usable(get_component(name)).util  # type: ignore[attr-defined]


def usable(component: Driver) -> Driver:
    """The same component, before it is used in this thread.

    Raises:
        ComponentUnavailableError: it is known not to answer.
    """
    if not component.guards_client:
        component.breaker.check_in_thread()
    return component


async def usable_in_loop(component: Driver) -> Driver:
    """What `usable` does, for a coroutine: while it is being found out whether the component answers, it waits.

    Raises:
        ComponentUnavailableError: it is known not to answer.
    """
    if not component.guards_client:
        await component.breaker.checked()
    return usable(component)


def call_hook(name: str, argument: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
    """Call a hook of the running application; see `PluginManager.call`."""
    # To hand on a tuple and a dict costs more than all the rest; one argument, as most hooks have, goes without them.
    if named or more or argument is _NOTHING:
        run = current.only_hooks.get(name) or running_manager().hook(name)
        return run(**named) if argument is _NOTHING else run(argument, *more, **named)
    try:
        return current.only_hooks[name](argument)
    except KeyError:
        if name in current.only_hooks:
            raise  # by the hook itself
    return running_manager().hook(name)(argument)


async def call_hook_async(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Await a hook of the running application; see `PluginManager.call_async`."""
    return await running_manager().hook(name, is_async=True)(*args, **kwargs)


def register(group: str, *, uri: str | None = None) -> Callable[[Registered], Registered]:
    """A decorator that adds a function or class of a plugin to `group`.

    Args:
        group: any name.
        uri: names it in the group; by default its module and name.
    """

    def add(value: Registered) -> Registered:
        current_groups().register(group, value, uri=uri, module=_registering_module())
        return value

    return add


def _registering_module() -> str:
    """The module that has called what calls this, where that is one of a plugin; empty for one of opa-stack."""
    name = str(sys._getframe(2).f_globals.get("__name__", ""))
    is_own = f"{name}.".startswith(f"{_PACKAGE}.") and not name.startswith(f"{_PACKAGE}.plugins.")
    return "" if is_own else name


def get_plugins(group: str) -> Mapping[str, Any]:
    """The objects of `group` by URI: those of the settings, then those that plugins registered; read-only.

    Empty where there is no such group.
    """
    return running_manager().groups.get(group)


def run_group(group: str, /, *args: Any, **kwargs: Any) -> dict[str, Outcome]:
    """Call each member of `group` in order, and say what each returned or raised."""
    return run_each(get_plugins(group), *args, **kwargs)


async def run_group_async(group: str, /, *args: Any, **kwargs: Any) -> dict[str, Outcome]:
    """The same for members that may be asynchronous."""
    return await run_each_async(get_plugins(group), *args, **kwargs)

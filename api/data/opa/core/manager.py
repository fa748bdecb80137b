"""The plugin manager: what was loaded, and the way to it for plugins.

The running manager is the only global state of a process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opa.core.components import ComponentState, configured_components
from opa.core.drivers import Driver
from opa.core.errors import ComponentUnavailableError, HookCallError, NotRunningError
from opa.core.filters import Decision
from opa.core.hooks import Hook, HookDefinition, is_async_function

if TYPE_CHECKING:
    from opa.core.register import Registry
    from opa.core.settings import Config
    from opa.tasks.application import TaskApplication


class PluginManager:
    """What one application has loaded.

    Attributes:
        config: its settings.
        decisions: every plugin that was found, and whether it was loaded.
        registry: what the loaded plugins define.
        hook_definitions: by name.
        hooks: the hook that is called, by name.
        drivers: driver classes, by name in lower case.
        component_states: every configured component, by name in lower case.
        optional_components: the drivers of the components that are connected, by name in lower case.
        celery: the Celery application that the tasks of the plugins belong to.
        status: what setups made, by `module.Class`, under the key `init`.
        store: `task_candidates`, the names of the packages that have a `tasks.py`.
    """

    def __init__(
        self, config: Config, decisions: Sequence[Decision], registry: Registry, celery: TaskApplication
    ) -> None:
        self.config = config
        self.decisions = tuple(decisions)
        self.registry = registry
        self.celery = celery
        self.hook_definitions: Mapping[str, type[HookDefinition]] = registry.hook_definitions
        self.hooks: Mapping[str, Hook] = registry.hooks
        self.drivers: Mapping[str, type[Driver]] = registry.drivers
        self.component_states: dict[str, ComponentState] = configured_components(self)
        self.optional_components: dict[str, Driver] = {}
        self.status: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self.store: dict[str, Any] = {
            "task_candidates": [found.plugin.name for found in registry.objects if found.plugin.file.has_tasks]
        }
        self._sync: dict[str, Callable[..., Any]] = {}
        self._async: dict[str, Callable[..., Awaitable[Any]]] = {}
        for name, hook in self.hooks.items():
            (self._async if is_async_function(hook.run) else self._sync)[name] = hook.run

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the hook `name` and return what it returns.

        Raises:
            HookCallError: no plugin defines or fills the hook, or it is asynchronous.
        """
        try:
            run = self._sync[name]
        except KeyError:
            raise self._call_error(name) from None
        return run(*args, **kwargs)

    async def call_async(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Await the asynchronous hook `name` and return what it returns.

        Raises:
            HookCallError: no plugin defines or fills the hook, or it is not asynchronous.
        """
        try:
            run = self._async[name]
        except KeyError:
            raise self._call_error(name) from None
        return await run(*args, **kwargs)

    def _call_error(self, name: str) -> HookCallError:
        if name in self._async:
            return HookCallError(
                f"hook '{name}' is asynchronous", hint=f"Call it with: await call_hook_async({name!r}, …)"
            )
        if name in self._sync:
            return HookCallError(f"hook '{name}' is not asynchronous", hint=f"Call it with: call_hook({name!r}, …)")
        if name in self.hook_definitions:
            return HookCallError(
                f"hook '{name}' is called, and no plugin that is loaded fills it",
                hint="Add a Hook for it; one with order = -1 beside the definition serves as the default",
            )
        known = ", ".join(sorted(self.hook_definitions)) or "none"
        return HookCallError(f"no hook '{name}' is defined", hint=f"Mend the name; hooks that are defined: {known}")

    def get_component(self, name: str) -> Driver:
        """The driver instance of the component `name`; case does not matter.

        Raises:
            ComponentUnavailableError: it is not configured, not loaded or not connected; the message says why.
        """
        key = name.lower()
        component = self.optional_components.get(key)
        if component is not None:
            return component
        state = self.component_states.get(key)
        if state is None:
            known = ", ".join(self.component_states) or "none"
            raise ComponentUnavailableError(
                f"component '{key}' is not configured; components in OPTIONAL_COMPONENTS: {known}",
                component=key,
            )
        raise ComponentUnavailableError(f"component '{key}' is {state}", component=key)


@dataclass(frozen=True)
class Loading:
    """What plugins can already use while they are imported: the Celery application, and the components that give it."""

    celery: TaskApplication
    components: frozenset[str]


_running: PluginManager | None = None
_loading: Loading | None = None


def set_running(manager: PluginManager | None) -> None:
    """Make `manager` the one that this process runs."""
    global _running  # noqa: PLW0603 - the one piece of global state
    _running = manager


@contextmanager
def loading(what: Loading) -> Iterator[None]:
    """While plugins are imported, no manager runs; this is what they have instead."""
    global _running, _loading  # noqa: PLW0603
    _running, _loading = None, what
    try:
        yield
    finally:
        _loading = None


def current_tasks() -> TaskApplication:
    """The Celery application for a task that is being made.

    It is that of the plugins that are being imported, or else that of the running manager. Where a plugin is imported
    by hand there is neither, and its tasks get one that can run them here but not send them.
    """
    if _loading is not None:
        return _loading.celery
    if _running is not None:
        return _running.celery
    from opa.tasks.application import TaskApplication

    return TaskApplication()


def get_plugin_manager() -> PluginManager:
    """The running plugin manager.

    Raises:
        NotRunningError: no application was prepared in this process.
    """
    if _running is None:
        raise NotRunningError(
            "no application runs in this process yet",
            hint="Call it inside a route, hook, task or setup, and not while a module is imported",
        )
    return _running


def get_component(name: str) -> Driver:
    """The driver instance of the component `name`; case does not matter.

    Raises:
        ComponentUnavailableError: it is not there; the message says why.
    """
    return get_plugin_manager().get_component(name)


def get_instance(name: str) -> Any:
    """The client of the component `name`: what `get_instance` of its driver gives; case does not matter.

    Raises:
        ComponentUnavailableError: it is not there; the message says why. A route answers 503 with it.
    """
    if _loading is not None and name.lower() in _loading.components:
        return _loading.celery
    return get_plugin_manager().get_component(name).get_instance()


def get_util(name: str) -> Any:
    """What the driver of the component `name` offers as `util`.

    Raises:
        ComponentUnavailableError: the component is not there.
        AttributeError: its driver has no `util`.
    """
    return get_plugin_manager().get_component(name).util  # type: ignore[attr-defined]


def call_hook(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a hook of the running application; see `PluginManager.call`."""
    return get_plugin_manager().call(name, *args, **kwargs)


async def call_hook_async(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Await a hook of the running application; see `PluginManager.call_async`."""
    return await get_plugin_manager().call_async(name, *args, **kwargs)

"""What functions of plugins are already, such as endpoints, dependencies and tasks: their names then say nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin
from weakref import ReferenceType

from fastapi import params
from fastapi.dependencies.models import Dependant
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Router

from opa._compat.fastapi.inclusion import dependencies_of, router_in
from opa._util.objects import attribute, is_a
from opa.core.hooks import Hook
from opa.loading.conventions import EXCEPTION_HANDLERS
from opa.loading.imported_modules import modules_of
from opa.loading.importing import ImportedPlugin

if TYPE_CHECKING:
    from opa.core.groups import Groups
    from opa.core.plugin_tasks import PluginTasks

_COMMANDS = ("registered_commands", "registered_callback", "commands", "callback")
"""Where Typer and click keep what a command runs."""
_DEEPEST = 100
_PLAIN = frozenset(
    {
        str,
        bytes,
        int,
        float,
        bool,
        dict,
        set,
        frozenset,
        type(None),
        FunctionType,
        ModuleType,
        ModuleSpec,
        SourceFileLoader,
    }
)
"""Types of values that are nothing by which a function would be used, as nearly all at the top of a module are."""


class Uses:
    """Functions that are something already. Nothing is looked for before it is asked about one.

    A decorator that says what it wraps (`functools.wraps`) makes no other function of it.

    Args:
        find: gives them.
    """

    def __init__(self, find: Callable[[], Iterable[object]]) -> None:
        self._find = find
        self._known: set[object] | None = None

    def __contains__(self, value: object) -> bool:
        if type(value) is not FunctionType and (is_a(value, type) or _is_task(value) or _is_command(value)):
            return True
        if self._known is None:
            # Of a `functools.partial`, both it and its function are used.
            self._known = {
                key for each in self._find() for used in (each, attribute(each, "func")) for key in _keys(used)
            }
        return not self._known.isdisjoint(_keys(value))


def used_in_plugins(plugins: Iterable[ImportedPlugin], tasks: PluginTasks, groups: Groups) -> Iterator[object]:
    """What the plugins, their tasks and their groups use; a plugin may use the function of another one."""
    for _, module in modules_of({plugin.file.module: plugin.name for plugin in plugins}):
        values = vars(module)
        for value in list(values.values()):
            if type(value) not in _PLAIN:
                yield from _without_errors(_used_by(value))
        if isinstance(handlers := values.get(EXCEPTION_HANDLERS.name), Mapping):
            yield from handlers.values()
    yield from tasks.functions().values()
    for group in groups.names():
        yield from groups.get(group).values()
    yield from _signal_handlers()


def _without_errors(used: Iterator[object]) -> Iterator[object]:
    """What an object uses, as far as it lets itself be looked at: a proxy that stands for nothing raises."""
    try:
        yield from used
    except Exception:  # noqa: BLE001 - any plugin's, and none that is of use here
        return


def used_by_routes(routes: Iterable[BaseRoute], seen: set[int] | None = None) -> Iterator[object]:
    """Endpoints and dependencies, also of what is included and mounted.

    Args:
        routes: of an application or a router.
        seen: ids of the routers whose routes have been looked at: one may be mounted inside itself.
    """
    seen = set() if seen is None else seen
    for route in routes:
        yield getattr(route, "endpoint", None)
        dependant = getattr(route, "dependant", None)
        if isinstance(dependant, Dependant):
            yield from _called_for(dependant)
        inner = getattr(route, "app", None)
        included = router_in(route)
        if included is not None:
            inner = included
            yield from (each.dependency for each in dependencies_of(route))
        if isinstance(inner, Router | Starlette):
            yield from _used_by(inner, seen)
        elif is_a(route, Mount):  # the middleware of the mount is around them
            yield from used_by_routes(getattr(route, "routes", None) or (), seen)


def _used_by(value: Any, seen: set[int] | None = None) -> Iterator[object]:
    if isinstance(value, Router | Starlette):
        router = value.router if isinstance(value, Starlette) else value
        seen = set() if seen is None else seen
        if id(router) in seen:
            return
        seen.add(id(router))
        yield router.lifespan_context
        # Starlette has left the events behind, FastAPI has not.
        yield from (*getattr(router, "on_startup", ()), *getattr(router, "on_shutdown", ()))
        yield from (each.dependency for each in getattr(router, "dependencies", ()))
        yield from used_by_routes(router.routes, seen)
        if isinstance(value, Starlette):
            yield from value.exception_handlers.values()
            yield from _used_by(value.user_middleware)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Middleware):
                yield from (*item.args, *item.kwargs.values())
    elif isinstance(value, params.Depends):
        yield value.dependency
    elif get_origin(value) is Annotated:
        yield from (each.dependency for each in get_args(value) if isinstance(each, params.Depends))
    elif isinstance(value, type) and issubclass(value, Hook):
        yield vars(value).get("run")
    elif _is_command(value):
        yield from _callbacks(value)


def _called_for(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _called_for(each)


def _is_task(value: object) -> bool:
    # By its class alone, since to look into a proxy makes the task.
    return any(
        name in sys.modules and is_a(value, getattr(sys.modules[name], kind))
        for name, kind in (("celery.app.task", "Task"), ("celery.local", "Proxy"))
    )


def _is_command(value: object) -> bool:
    return any(
        name in sys.modules and is_a(value, getattr(sys.modules[name], kind, ()))
        for name, kind in (("typer", "Typer"), ("click", "Command"))
    )


def _callbacks(command: object) -> Iterator[object]:
    for name in _COMMANDS:
        found = getattr(command, name, None) or ()
        for each in found.values() if isinstance(found, Mapping) else found if isinstance(found, list) else [found]:
            yield getattr(each, "callback", each)


def _signal_handlers() -> Iterator[object]:
    """What waits for a signal of Celery's, or of the system."""
    if "celery.signals" in sys.modules:  # else no function is connected to one
        from celery import signals
        from celery.utils.dispatch import Signal

        for each in vars(signals).values():
            if isinstance(each, Signal):
                yield from (
                    receiver() if isinstance(receiver, ReferenceType) else receiver
                    for _, receiver in each.receivers or ()
                )
    yield from (signal.getsignal(number) for number in signal.valid_signals())


def _keys(value: Any) -> Iterator[object]:
    """Each function that `value` is: itself, and what it wraps."""
    for _ in range(_DEEPEST):  # some objects wrap others without an end
        if value is None:
            return
        owner = attribute(value, "__self__")
        # A method is another object each time that it is asked for.
        yield id(value) if owner is None else (id(owner), attribute(value, "__name__", ""))
        value = attribute(value, "__wrapped__")

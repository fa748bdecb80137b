"""Scheduled tasks and handlers of events that stand in two plugins, as where someone has copied a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.events.names import EVENT_HANDLERS_GROUP
from opa.tasks.application import application_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def copied_schedules(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each scheduled task whose code another plugin has too, in the same line and with one schedule."""
    functions = application_of(manager).functions()
    scheduled = (
        (name, functions.get(name), str(entry["schedule"])) for name, entry in application_of(manager).schedules.items()
    )
    yield from _twins(manager, scheduled, "task", "its schedule runs once more")


def copied_handlers(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each handler of events whose code another plugin has too, in the same line, for the same names."""
    handlers = manager.groups.get(EVENT_HANDLERS_GROUP).items()
    # Where a function is not here, its task alone is known.
    found = ((name, getattr(handler, "function", None), getattr(handler, "patterns", ())) for name, handler in handlers)
    yield from _twins(manager, found, "handler of events", "each event is handled once more")


def _twins(
    manager: PluginManager, found: Iterator[tuple[str, Callable[..., Any] | None, object]], kind: str, effect: str
) -> Iterator[Finding]:
    first: dict[object, tuple[str, Callable[..., Any]]] = {}
    for name, function, what in found:
        code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
        if function is None or code is None:
            continue
        other, twin = first.setdefault((code, what), (name, function))
        plugin = manager.plugin_of_module(function.__module__)
        if other == name or plugin == manager.plugin_of_module(twin.__module__):
            continue
        where, where_other = where_is_function(function), where_is_function(twin)
        whose = f" of plugin '{plugin}'" if plugin else ""
        yield Finding(
            f"{kind} '{name}'{whose} is the same as '{other}' ({where_other}), and {effect}",
            plugin=plugin,
            where=where,
            hint="If the file is a copy, move it out of the plugin path"
            if where != where_other
            else "The file is loaded under two names: import the module of the plugin, as all others do",
        )

"""What is known of the project: its plugins, its components, and how often its hooks are called."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from prometheus_client import Metric

import opa
from opa import credential_counts, event_loop_blocks, get_plugin_manager, requests_in_flight
from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.state import cells

IN_FLIGHT = Definition("gauge", "opa_http_requests_in_flight", "Requests that are being answered.", "livesum")
WEBSOCKETS = Definition("gauge", "opa_websockets_open", "Websockets, from the handshake on.", "livesum")
UP = Definition(
    "gauge",
    "opa_component_up",
    "1 where the component is connected and answers, in each process.",
    "livemin",
    labels=("component",),
)
CREDENTIALS = Definition(
    "counter",
    "opa_credentials",
    "Credentials that were looked at, by the kind of their actor and the outcome.",
    labels=("kind", "outcome"),
)
HOOK_CALLS = Definition("counter", "opa_hook_calls", "Calls of hooks.", labels=("hook",))
BLOCKED = Definition(
    "counter",
    "opa_event_loop_blocked",
    "How often code of a plugin has held the event loop for longer than LOOP_BLOCK_LIMIT.",
    labels=("plugin",),
)
BLOCKED_SECONDS = Definition(
    "counter", "opa_event_loop_blocked_seconds", "For how long it has held it then.", labels=("plugin",)
)
LOST = Definition(
    "counter", "opa_metrics_lost_series", "Numbers that are in no metric, because a process had no room for more."
)
NO_PLUGIN = "none"


def kept() -> dict[str, Any]:
    """What belongs to the application."""
    return get_plugin_manager().kept


def facts() -> Iterator[Metric]:
    """What is the same in all processes of the service."""
    manager = get_plugin_manager()
    build = Metric("opa_build", "The versions of opa-stack, of Python, and of the project.", "info")
    versions = {"version": opa.__version__, "python": platform.python_version()}
    project = {"project": str(manager.config.PROJECT_NAME), "project_version": str(manager.config.PROJECT_VERSION)}
    build.add_sample("opa_build_info", {**versions, **project, "mode": manager.mode}, 1)
    yield build
    plugins = Metric("opa_plugin", "The plugins, with their versions; those that were skipped too.", "info")
    seconds = Metric("opa_plugin_import_seconds", "How long the import of the plugin took.", "gauge")
    for found in manager.registry.objects:
        plugin = found.plugin
        version = str(plugin.file.metadata.version or "")
        plugins.add_sample("opa_plugin_info", {"plugin": plugin.name, "version": version, "state": "loaded"}, 1)
        seconds.add_sample("opa_plugin_import_seconds", {"plugin": plugin.name}, plugin.seconds)
    for skipped in manager.roster.skipped:
        plugins.add_sample("opa_plugin_info", {"plugin": skipped, "version": "", "state": "skipped"}, 1)
    yield plugins
    yield seconds


def note_states() -> None:
    """Note what only this process knows, as it is now."""
    manager = get_plugin_manager()
    for definition, count in zip((IN_FLIGHT, WEBSOCKETS), requests_in_flight(), strict=True):
        _set(definition, "", (), count)
    for name, state in list(manager.component_states.items()):
        if state.driver is not None and state.status != "not connected yet":
            is_up = state.status == "connected" and not any(each.is_open for each in state.driver.breakers())
            _set(UP, "", (name,), is_up)
    for (kind, outcome), count in credential_counts().items():
        _set(CREDENTIALS, "_total", (kind, outcome), count)
    for plugin, (count, seconds) in event_loop_blocks().items():
        _set(BLOCKED, "_total", (plugin or NO_PLUGIN,), count)
        _set(BLOCKED_SECONDS, "_total", (plugin or NO_PLUGIN,), seconds)
    _set(LOST, "_total", (), cells.lost)


def _set(definition: Definition, suffix: str, labels: tuple[str, ...], value: float) -> None:
    first = cells.allocate(definition, suffix, labels)
    cells.note(first, float(value))


def count_hooks() -> None:
    """Count the calls of each hook from now on."""
    manager = get_plugin_manager()
    bound: tuple[dict[str, Callable[..., Any]], ...] = (manager.sync_hooks, manager.async_hooks)
    for hooks in bound:
        for name, run in list(hooks.items()):
            if not hasattr(run, "__wrapped__"):
                hooks[name] = _counted(run, cells.allocate(HOOK_CALLS, "_total", (name,)))


def _counted(run: Callable[..., Any], cell: int) -> Callable[..., Any]:
    @wraps(run)
    def call(*args: Any, **named: Any) -> Any:
        cells.increase(cell, 1.0)
        return run(*args, **named)

    return call

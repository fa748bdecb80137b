"""Events: what a plugin says has happened reaches the handlers of others, which run as tasks.

Nothing more is imported where no plugin has a handler or emits something.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opa import PluginManager, get_plugin_manager, get_plugins, register
from opa.events import EVENT_HANDLERS_GROUP, PLUGIN, know_events, start_relay, stop_relay


@register("around_process", uri=PLUGIN)
@contextmanager
def known_to_workers() -> Iterator[None]:
    """Have each worker know the tasks of events, also one whose plugins have none."""
    if get_plugin_manager().mode == "worker" or get_plugins(EVENT_HANDLERS_GROUP):
        know_events()
    yield


async def startup(pm: PluginManager) -> None:
    """Have each process of a worker send the events that were committed."""
    if pm.mode == "worker":
        start_relay()


async def shutdown() -> None:
    """Let others do that. Any process may have sent some: tasks run where they are sent if they are eager."""
    await stop_relay()

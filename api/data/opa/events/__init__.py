"""Events: names, handlers, what is sent for one, and the task by which a worker sends its handlers.

`emit`, `emit_sync`, `on` and `Event` are public, by `opa`. The built-in plugin `core_events` switches it on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from opa.events.names import EVENT_HANDLERS_GROUP, PLUGIN, RELAY

__all__ = ["EVENT_HANDLERS_GROUP", "PLUGIN", "handles", "know_events", "start_relay", "stop_relay"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def know_events() -> None:
    """Have this process know the tasks of events: a worker that does not would take them for no tasks."""
    from opa.events.fan_out import fan_out_task  # with Celery
    from opa.events.relay import relay_task

    fan_out_task()
    relay_task()


def start_relay() -> None:
    """Send the events that were committed, in this process, from now on: called in a worker, on its event loop."""
    from opa.core.manager import get_plugin_manager  # with Celery, as below
    from opa.events.relay import relay_of

    relay_of(get_plugin_manager()).start()


async def stop_relay() -> None:
    """End that, in a process that does it; what is not sent yet, others send."""
    from opa.core.manager import get_plugin_manager

    if (relay := get_plugin_manager().kept.get(RELAY)) is not None:
        await relay.stop()


def handles(*patterns: str, name: str, **options: Any) -> Callable[[_Function], _Function]:
    """Have a task of this name handle events; `on` is for all that can do with a function.

    Its first argument is the event as JSON, which `Event.from_message` reads. It may take others, with defaults, which
    its own retries give it.

    Args:
        patterns: names of events, in which `*` stands for any text.
        name: of the task.
        options: of the task, also `bind`.

    Raises:
        RegistrationError: as `task`.
    """
    from opa.events.task_handlers import task_handler  # with Celery

    return task_handler(patterns, name, options)

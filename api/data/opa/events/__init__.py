"""Events: names, handlers, what is sent for one, and the task by which a worker sends its handlers.

`emit`, `emit_sync`, `on` and `Event` are public, by `opa`. The built-in plugin `core_events` switches it on.
"""

from opa.events.names import EVENT_HANDLERS_GROUP, PLUGIN

__all__ = ["EVENT_HANDLERS_GROUP", "PLUGIN", "know_events"]


def know_events() -> None:
    """Have this process know the task of events: a worker that does not would take them for no task."""
    from opa.events.fan_out import fan_out_task  # with Celery

    fan_out_task()

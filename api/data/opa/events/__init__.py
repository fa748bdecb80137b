"""Events: names, handlers, what is sent for one, and the task by which a worker sends its handlers.

`emit`, `emit_sync`, `on` and `Event` are public, by `opa`. The built-in plugin `core_events` switches it on.
"""

from opa.events.names import EVENT_HANDLERS_GROUP, PLUGIN

__all__ = ["EVENT_HANDLERS_GROUP", "PLUGIN", "know_events", "start_relay", "stop_relay"]


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
    """End that; what is not sent yet, others send."""
    from opa.core.manager import get_plugin_manager
    from opa.events.relay import relay_of

    await relay_of(get_plugin_manager()).stop()

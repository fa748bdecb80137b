"""The task that a worker runs for each event: it sends those of the handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from opa.core.manager import get_plugin_manager
from opa.events.event import Event
from opa.events.handlers import handlers_of
from opa.events.names import FAN_OUT
from opa.events.own_tasks import own_task
from opa.events.sent import SentHandlers
from opa.logging.logger import log
from opa.tasks.headers import EVENT

TRIES = 10
PAUSE, LONGEST_PAUSE = 2, 300
"""Seconds before the second try, each further one after twice the time, and the most."""


async def fan_out(self: Any, event_message: dict[str, Any], sent: Sequence[str] = ()) -> None:
    """Send the task of each handler; what was sent for the event before, by whichever worker, is not sent again.

    Args:
        self: this task.
        event_message: the event, as JSON.
        sent: the handlers that a try before has sent.
    """
    event, manager = Event.from_message(event_message), get_plugin_manager()
    handlers = [handler for handler in handlers_of(event.name) if not handler.here]
    if not handlers:
        return
    noted = SentHandlers(manager, event.id)
    failure: Exception | None = None
    async with noted.alone() as known:
        done = {*sent, *known}
        for handler in handlers:
            if handler.name in done:
                continue
            try:
                options = {"task_id": str(uuid5(UUID(event.id), handler.name)), "headers": {EVENT: event.name}}
                await manager.celery.tasks[handler.name].send_with(options, event_message)
            except Exception as error:
                if manager.failed_components(error):
                    raise  # the broker is gone, and the task waits for it
                log.opt(exception=error).error(f"the event '{event.name}' {event.id} cannot be sent to {handler.name}")
                failure = error
            else:
                done.add(handler.name)
                await noted.add(handler.name)
    if failure is not None:
        pause = min(PAUSE * 2**self.request.retries, LONGEST_PAUSE)
        raise self.retry(args=[event_message, sorted(done)], exc=failure, countdown=pause, max_retries=TRIES)


def fan_out_task() -> Any:
    """That task, in the running application."""
    return own_task(FAN_OUT, fan_out, bind=True, acks_on_failure_or_timeout=False, typing=False)


def options_of(event: Event) -> dict[str, Any]:
    """Options of that task for an event: what is shown of it. Its handlers show the payload; to write it takes long."""
    return {"argsrepr": f"({{'id': '{event.id}', 'name': '{event.name}'}},)", "kwargsrepr": "{}"}

"""`emit`: say that something has happened."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from opa.core.running import get_plugins
from opa.errors import OpaError
from opa.events.event import Event
from opa.events.fan_out import fan_out_task
from opa.events.handlers import Handler, handlers_of
from opa.events.names import PLUGIN, is_name
from opa.events.payloads import as_json
from opa.http.after_response import after_response
from opa.loading.conventions import AROUND_PROCESS_GROUP
from opa.logging.logger import log


async def emit(name: str, payload: Any = None) -> Event:
    """Say that something has happened: handlers of it run in workers, as tasks.

    Args:
        name: of the event: words with dots between them.
        payload: JSON, or a Pydantic model.

    Returns:
        The event, when the broker has it.

    Raises:
        OpaError: the name is none, or the payload would not arrive, or does not fit a handler that is known here.
        TaskTooLargeError: it takes more bytes, or more levels, than the settings allow.
        ComponentUnavailableError: there is no component that sends tasks.
        kombu.exceptions.OperationalError: the broker does not answer; a route answers 503.
    """
    event, here = _prepared(name, payload)
    await fan_out_task().send(event.message())
    for handler, own in here:
        if not after_response(partial(_run, handler, own)):
            await _run(handler, own)
    return event


def emit_sync(name: str, payload: Any = None) -> Event:
    """The same for a `def`. Outside of requests it runs a `def` of `here=True`, and refuses an `async def`.

    Args:
        name: as of `emit`.
        payload: as of `emit`.

    Returns:
        The event, when the broker has it.

    Raises:
        OpaError: as `emit`, or there is a handler that only `emit` can run. The other errors are those of `emit`, too.
    """
    event, here = _prepared(name, payload)
    waiting = [handler for handler, _ in here if handler.is_async]
    if waiting and not after_response(None):
        raise OpaError(
            f"emit_sync({name!r}) outside of a request cannot run the handler {waiting[0].name}, an async def of"
            " here=True",
            where=waiting[0].where,
            hint="Write await emit(…), or make the handler a def",
        )
    fan_out_task().delay(event.message())
    for handler, own in here:
        if not after_response(partial(_run, handler, own)):
            _call(handler, own)
    return event


def _prepared(name: str, payload: Any) -> tuple[Event, list[tuple[Handler, Event]]]:
    """The event, and the handlers that run in this process, each with an event that no other one can change."""
    if PLUGIN not in get_plugins(AROUND_PROCESS_GROUP.name):
        raise OpaError(
            f"events cannot be emitted: a filter of plugins leaves out {PLUGIN}", hint="Let it through, or emit nothing"
        )
    if not is_name(name):
        raise OpaError(
            f"{name!r} is no name of an event", hint="Write words with dots between them, such as 'orders.created'"
        )
    event = Event(str(uuid4()), name, datetime.now(UTC), as_json(name, payload))
    handlers = handlers_of(name)
    for handler in handlers:
        handler.arguments(event)
    return event, [(handler, replace(event, payload=deepcopy(event.payload))) for handler in handlers if handler.here]


async def _run(handler: Handler, event: Event) -> None:
    try:
        given = handler.arguments(event)
        if handler.is_async:
            await handler.function(**given)
        else:
            await asyncio.to_thread(handler.function, **given)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of a plugin, and whoever emits has no part in it
        _tell(handler, event, error)


def _call(handler: Handler, event: Event) -> None:
    try:
        handler.function(**handler.arguments(event))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        _tell(handler, event, error)


def _tell(handler: Handler, event: Event, error: BaseException) -> None:
    log.opt(exception=error).error(f"the handler {handler.name} of the event '{event.name}' {event.id} failed: {error}")

"""`emit`: say that something has happened."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from opa.core.manager import PluginManager, get_plugin_manager
from opa.core.running import get_plugins
from opa.core.threads import start_on
from opa.errors import OpaError
from opa.events.bell import bell_of
from opa.events.event import Event, id_of_event
from opa.events.fan_out import fan_out_task, options_of
from opa.events.handlers import Handler, handlers_of
from opa.events.names import PLUGIN, is_name
from opa.events.outbox import after_all, is_to_be_looked_at, outbox_of, row_of, tell_late
from opa.events.payloads import as_json
from opa.http.after_response import after_response
from opa.loading.conventions import AROUND_PROCESS_GROUP
from opa.logging.logger import log


async def emit(name: str, payload: Any = None, *, session: Any = None, idempotency_key: str | None = None) -> Event:
    """Say that something has happened: handlers of it run in workers, as tasks.

    Args:
        name: of the event: words with dots between them.
        payload: JSON, or a Pydantic model.
        session: an asynchronous session of a component, such as one of SQLAlchemy: the event is kept in its
            transaction, and sent by a worker once that is committed. Rolled back, there is no event.
        idempotency_key: what is emitted by this name with the same key is the same event: it has the same id, and for
            four days sends no handler twice. Such as the id of a webhook, which its sender may repeat.

    Returns:
        The event, when the broker has it, or the transaction.

    Raises:
        OpaError: the name is none, the key is empty, the payload would not arrive, or does not fit a handler that is
            known here. Or the session is of no component, or a synchronous one.
        TaskTooLargeError: it takes more bytes, or more levels, than the settings allow.
        ComponentUnavailableError: there is no component that sends tasks.
        kombu.exceptions.OperationalError: the broker does not answer; a route answers 503.
    """
    event, here = _prepared(name, payload, idempotency_key)
    if session is not None:
        manager = get_plugin_manager()
        component, outbox = outbox_of(manager, session, is_async=True)
        await outbox.add(session, name, row_of(manager, event), _after_commit(manager, component, here))
        if is_to_be_looked_at(manager, component):
            tell_late(component, await outbox.oldest(session))
        return event
    await fan_out_task().send_with(options_of(event), event.message())
    for handler, own in here:
        if not after_response(partial(_run, handler, own)):
            await _run(handler, own)
    return event


def emit_sync(name: str, payload: Any = None, *, session: Any = None, idempotency_key: str | None = None) -> Event:
    """The same for a `def`. Outside of requests it runs a `def` of `here=True`, and refuses an `async def`.

    Args:
        name: as of `emit`.
        payload: as of `emit`.
        session: as of `emit`, and synchronous.
        idempotency_key: as of `emit`.

    Returns:
        As `emit`.

    Raises:
        OpaError: as `emit`, or there is a handler that only `emit` can run. The other errors are those of `emit`, too.
    """
    event, here = _prepared(name, payload, idempotency_key)
    waiting = [handler for handler, _ in here if handler.is_awaited]
    if waiting and not after_response(None):
        raise OpaError(
            f"emit_sync({name!r}) outside of a request cannot run the handler {waiting[0].name}, an async def of"
            " here=True",
            where=waiting[0].where,
            hint="Write await emit(…), or make the handler a def",
        )
    if session is not None:
        manager = get_plugin_manager()
        component, outbox = outbox_of(manager, session, is_async=False)
        outbox.add(session, name, row_of(manager, event), _after_commit(manager, component, here))
        if is_to_be_looked_at(manager, component):
            tell_late(component, outbox.oldest(session))
        return event
    fan_out_task().apply_async((event.message(),), **options_of(event))
    for handler, own in here:
        if not after_response(partial(_run, handler, own)):
            _call(handler, own)
    return event


def _prepared(name: str, payload: Any, idempotency_key: str | None) -> tuple[Event, list[tuple[Handler, Event]]]:
    """The event, and the handlers that run in this process, each with an event that no other one can change."""
    if PLUGIN not in get_plugins(AROUND_PROCESS_GROUP.name):
        raise OpaError(
            f"events cannot be emitted: a filter of plugins leaves out {PLUGIN}", hint="Let it through, or emit nothing"
        )
    if not is_name(name):
        raise OpaError(
            f"{name!r} is no name of an event", hint="Write words with dots between them, such as 'orders.created'"
        )
    event = Event(id_of_event(name, idempotency_key), name, datetime.now(UTC), as_json(name, payload))
    handlers = handlers_of(name)
    for handler in handlers:
        handler.check(event, payload)
    # Of a task, there is none here.
    here = [handler for handler in handlers if isinstance(handler, Handler) and handler.here]
    return event, [(handler, replace(event, payload=deepcopy(event.payload))) for handler in here]


def _after_commit(manager: PluginManager, component: str, here: list[tuple[Handler, Event]]) -> Callable[[], None]:
    """What follows when the transaction of an event is committed."""
    ring = partial(bell_of(manager).ring, component)
    return after_all([ring, *(partial(_begin, handler, own) for handler, own in here)])


def _begin(handler: Handler, event: Event) -> None:
    if after_response(partial(_run, handler, event)):
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _call(handler, event)
    else:
        start_on(loop, _run(handler, event), failure=f"the handler {handler.name} did not run")


async def _run(handler: Handler, event: Event) -> None:
    try:
        given = handler.arguments(event)
        if handler.is_async:
            await handler.function(**given)
        else:
            result = await asyncio.to_thread(handler.function, **given)
            if inspect.isawaitable(result):
                await result  # a decorator stands before an `async def`
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of a plugin, and whoever emits has no part in it
        _tell(handler, event, error)


def _call(handler: Handler, event: Event) -> None:
    try:
        result = handler.function(**handler.arguments(event))
        if inspect.iscoroutine(result):
            result.close()
            raise OpaError("it gives a coroutine, which emit_sync cannot await", hint="Write await emit(…)")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        _tell(handler, event, error)


def _tell(handler: Handler, event: Event, error: BaseException) -> None:
    log.opt(exception=error).error(f"the handler {handler.name} of the event '{event.name}' {event.id} failed: {error}")

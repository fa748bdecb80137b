"""What a limited task does in its process before and after it runs."""

from __future__ import annotations

import functools
import inspect
import json
import os
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, cast
from uuid import uuid4

import redis
from celery import signals, states
from celery.exceptions import Reject
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from opa._util.pauses import growing
from opa.logging.logger import log
from opa.redis_clients import SERVER_STATES
from opa.tasks.headers import LOCK, TICKET, WAITS
from opa.tasks.limits.messages import longest_delay, parked, send_raw
from opa.tasks.limits.store import Called, Verdict
from opa.tasks.limits.task_limits import TaskLimits
from opa.tasks.observing.worker import PUT_OFF
from opa.tasks.worker.limited_request import RAW, LimitedRequest, Waiting

GONE = (redis.ConnectionError, redis.TimeoutError, *SERVER_STATES)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two tries to reach redis, or the broker."""
FIRST_DELAY, LONGEST_DELAY = 60.0, 600.0
"""Seconds until a copy of a message comes again that is called when its turn has come."""
FIRST_UNCALLED_DELAY, LONGEST_UNCALLED_DELAY = 2.0, 30.0
"""Seconds until one does that is too large to be called."""
LONGEST_EXPONENT = 10
LONGEST_TICKET = 17
"""Digits: microseconds."""

_HELD = "limit_hold"
"""The attribute of a request that says what it holds."""


class _Held(NamedTuple):
    run: str
    holder: str
    has_waited: bool


def limit_tasks(app: Any) -> None:
    """Have the tasks with limits ask for their turn; called in a worker, before Celery looks at them."""
    for name in app.limited:
        limits, task = app.limits_of(name), app.made_tasks.get(name)
        if not limits or task is None:
            continue
        task.run = _put_off(task)
        begin = functools.partial(_begin_or_put_off, app, limits)
        signals.task_prerun.connect(begin, sender=task, weak=False)
        task.Request = f"{LimitedRequest.__module__}:{LimitedRequest.__name__}"
        signals.task_postrun.connect(functools.partial(_end, app), sender=task, weak=False)


def call(app: Any, called: Iterable[Called]) -> None:
    """Send those whose turn has come; of one that cannot be sent, another copy comes later."""
    for ticket, message in called:
        try:
            send_raw(app, json.loads(message), ticket)
        except Exception as error:  # noqa: BLE001 - the next ones may be sent
            log.warning(f"a task whose turn has come waits longer: it cannot be sent ({type(error).__name__})")


def _begin_or_put_off(app: Any, limits: TaskLimits, *, sender: Any, args: Any, kwargs: Any, **_: Any) -> None:
    """Called before the task runs, and before observers are told that it does."""
    request = sender.request_stack.top
    if request is None or request.is_eager:
        return
    try:
        _begin(app, limits, request, args, kwargs)
    except Exception as error:  # noqa: BLE001 - a signal would lose it
        setattr(request, PUT_OFF, error)


def _put_off(task: Any) -> Any:
    """What the task calls: its function, unless it was put off."""
    function = task.run

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        request = task.request_stack.top
        if request is not None and (error := vars(request).pop(PUT_OFF, None)) is not None:
            raise error
        return function(*args, **kwargs)

    run.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return run


def _begin(app: Any, limits: TaskLimits, request: Any, args: Any, kwargs: Any) -> None:
    """Take what the task needs to run.

    Raises:
        Waiting: it has to wait, or has run already; its message is done with.
        Reject: it was begun too often, and came to no end.
    """
    raw = vars(request).pop(RAW, None)
    headers = request.headers or {}
    for name in (RAW, TICKET, WAITS, LOCK):  # a retry is sent with what is left
        headers.pop(name, None)
    try:
        arguments = limits.arguments(args, kwargs)
    except TypeError:
        return  # it fails by itself
    if raw is None:
        return
    ticket = _ticket(raw)
    run = f"{request.id}:{request.retries or 0}"
    holder = f"{request.hostname}|{os.getpid()}|{uuid4()}"
    enter = functools.partial(
        app.limit_store.enter,
        run,
        holder,
        task_id=str(request.id),
        ticket=ticket,
        message=parked(raw),
        lock=limits.lock(arguments),
        lock_life=limits.unique_for,
        most_tries=app.delivery_limit,
        is_fresh=raw["is_fresh"],
        gates=limits.gates(arguments),
        pace=limits.pace(arguments),
    )
    verdict = _verdict(app, limits, enter)
    if verdict is None:
        return
    if verdict.what == "run":
        setattr(request, _HELD, _Held(run, holder, verdict.has_waited or bool(ticket)))
        call(app, verdict.called)
        return
    if verdict.what == "dead":
        raise Reject(f"it was begun {app.delivery_limit} times, and its process was lost each time", requeue=False)
    if verdict.what != "done":
        _send_on(app, raw, verdict)
    log.debug("task {}[{}] does not run now: {}", limits.task, request.id, verdict.what)
    call(app, verdict.called)
    raise Waiting(limits.task, verdict.what in ("held", "done"))


def _end(app: Any, *, sender: Any, state: str | None = None, retval: Any = None, **_: Any) -> None:
    """Called when the task has run, and its result is stored."""
    request = sender.request_stack.top
    held: _Held | None = None if request is None else vars(request).pop(_HELD, None)
    if held is None:
        return
    goes_back = state is None or (isinstance(retval, Reject) and cast("Any", retval).requeue)
    try:
        called = app.limit_store.leave(
            held.run,
            held.holder,
            task_id=str(request.id),
            is_done=None if goes_back else held.has_waited and not isinstance(retval, Reject),
            has_ended=not goes_back and state != states.RETRY,
        )
    except RedisError as error:
        log.warning(f"the place of task {held.run} is free in some seconds: redis does not answer ({error!r})")
    else:
        call(app, called)


def _verdict(app: Any, limits: TaskLimits, enter: Any) -> Verdict | None:
    """What redis says; None where it does not answer, and the settings want tasks to run then."""
    is_told = False
    for pause in growing(FIRST_PAUSE, LONGEST_PAUSE):
        try:
            verdict: Verdict = enter()
        except GONE as error:
            if app.limits_without_redis == "allow":
                log.warning(f"task '{limits.task}' runs without its limits: redis does not answer ({error!r})")
                return None
            if not is_told:
                log.warning(f"task '{limits.task}' waits: redis, which has its limits, does not answer ({error!r})")
            is_told = True
        else:
            return verdict
        time.sleep(pause)
    return None


def _send_on(app: Any, raw: Any, verdict: Verdict) -> None:
    """Send a copy of the message that comes later, for as long as it takes: then the message is done with."""
    waits = raw["headers"].get(WAITS)
    waits = waits if type(waits) is int and waits >= 0 else 0
    growth = 2.0 ** min(waits, LONGEST_EXPONENT)
    longest = longest_delay(app)
    if verdict.what == "later":
        delay = min(verdict.seconds, longest)
    elif verdict.what == "held":
        delay = min(max(verdict.seconds, 1.0) + growth, longest)
    elif parked(raw):
        delay = min(FIRST_DELAY * growth, longest, LONGEST_DELAY)
    else:
        delay = max(verdict.seconds, min(FIRST_UNCALLED_DELAY * growth, LONGEST_UNCALLED_DELAY))
    waits = 1 if verdict.what == "later" else waits + 1
    for pause in growing(FIRST_PAUSE, LONGEST_PAUSE):
        try:
            send_raw(app, raw, verdict.ticket, delay=delay, waits=waits)
        except OperationalError as error:
            log.debug("a task that waits cannot be sent on for now: {!r}", error)
        else:
            return
        time.sleep(pause)


def _ticket(raw: Any) -> str:
    ticket = raw["headers"].get(TICKET)
    return ticket if isinstance(ticket, str) and ticket.isdecimal() and len(ticket) <= LONGEST_TICKET else ""

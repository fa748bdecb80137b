"""A unique task is sent: while another one with the same text waits or runs, it is not, and that one is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.utils.uuid import uuid
from redis.exceptions import RedisError

from opa.errors import ComponentUnavailableError
from opa.logging.logger import log
from opa.redis_clients import outages_of
from opa.tasks.headers import LOCK
from opa.tasks.limits.store import COMPONENT

if TYPE_CHECKING:
    from opa.tasks.limits.task_limits import TaskLimits

SENDING = 60.0
"""Seconds in which a task that holds its text is sent; a process that is killed meanwhile keeps it no longer."""
MAY_HAVE_ANOTHER_ID = "may_have_another_id"
"""The option of who gives a task an id, and needs no result of that id: beat."""


def send_unique(
    app: Any,
    limits: TaskLimits,
    arguments: tuple[Any, Any],
    options: Mapping[str, Any],
    send: Callable[[Mapping[str, Any]], Any],
) -> Any:
    """Send a task, unless one with the same text waits or runs; gives the result of the one that is there then.

    Args:
        arguments: of the task: a sequence, and those with names.
        options: of `send_task`, with `countdown` and `eta`.
        send: sends it with options.

    Raises:
        ComponentUnavailableError: redis does not answer, and the settings want none to be sent then.
    """
    options = dict(options)
    may_have_another = options.pop(MAY_HAVE_ANOTHER_ID, False) or not _is_awaited(options)
    try:
        lock = limits.lock(limits.arguments(*arguments))
    except (TypeError, ValueError, RecursionError):
        return send(options)  # the task cannot be called with them, or they cannot be sent: that fails, and says why
    task_id = options["task_id"] = options.get("task_id") or uuid()
    options["headers"] = {LOCK: lock, **(options.get("headers") or {})}
    try:
        with outages_of(COMPONENT, "limits of tasks"):
            holder = app.limit_store.claim(lock, task_id, SENDING)
    except ComponentUnavailableError as error:
        if app.limits_without_redis != "allow":
            raise
        log.warning("task '{}' is sent though it may wait or run already: {}", limits.task, error.problem)
        return send(options)
    if holder != task_id and may_have_another:
        log.debug("task '{}' is not sent: {} waits or runs", limits.task, holder)
        return app.AsyncResult(holder)
    try:
        sent = send(options)
    except BaseException:
        if holder == task_id and may_have_another:
            with suppress(RedisError):  # then it is given back by itself
                app.limit_store.keep(lock, task_id, 0)
        raise
    if holder == task_id:
        try:
            app.limit_store.keep(lock, task_id, limits.unique_for + _delay(app, options))
        except RedisError as error:
            log.warning(
                f"task '{limits.task}' is sent, and holds its text for {SENDING:g} s only: redis does not answer "
                f"({type(error).__name__})"
            )
    return sent


def _is_awaited(options: Mapping[str, Any]) -> bool:
    """Whether something waits for the id that this task has: what follows it, or who has chosen it."""
    return any(options.get(name) for name in ("task_id", "chain", "chord", "group_id", "link", "link_error"))


def _delay(app: Any, options: Mapping[str, Any]) -> float:
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is None and eta is not None:
        point: Any = maybe_iso8601(eta)
        countdown = (maybe_make_aware(point, app.timezone) - app.now()).total_seconds()
    return max(0.0, float(countdown or 0))

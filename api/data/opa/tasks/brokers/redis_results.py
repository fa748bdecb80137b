"""Results of tasks in redis: one call for each, no needless subscription, and patience where the server is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import redis
from celery import states
from celery.exceptions import BackendStoreError
from kombu.exceptions import EncodeError
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import AuthorizationError, NoPermissionError
from redis.maint_notifications import MaintNotificationsConfig

from opa._compat.celery import results
from opa._compat.celery.app import get_current_task
from opa._util.pauses import growing
from opa.logging.logger import log
from opa.redis_clients.pools import GuardedPool, GuardedSentinelPool
from opa.redis_clients.states import SERVER_STATES, StateParser
from opa.tasks.codec import marked_arguments
from opa.tasks.marks import Marked
from opa.tasks.parameters import written_result

ANSWER_TIMEOUT = 3
"""Seconds that the server may take to answer."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two tries to store the state of a task while the server is gone."""

MAX_CONNECTIONS = 100
"""In each process; Celery's setting `redis_max_connections` wins."""

GONE = (redis.ConnectionError, redis.TimeoutError, *SERVER_STATES)

UNKNOWN = (redis.AuthenticationError, AuthorizationError)
REFUSED = (*UNKNOWN, NoPermissionError)
"""By which a server says that it does not know the user or the password, or that this one may not do that."""

CHECK_SETTING = "Check the user and the password in BACKEND_URL, or BACKEND_PASSWORD, of its component"

# A success stays: a worker that was thought to be lost may store a failure later on. Waiting callers get the rest.
STORE = """
local found = redis.call('get', KEYS[1])
if found then
    local is_json, meta = pcall(cjson.decode, found)
    if is_json and type(meta) == 'table' and meta['status'] == 'SUCCESS' then
        return 0
    end
end
if ARGV[2] == '' then
    redis.call('set', KEYS[1], ARGV[1])
else
    redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
end
redis.call('publish', KEYS[1], ARGV[1])
return 1
"""


class QuietResultConsumer(results.ResultConsumer):
    """Raises the connection error itself where Celery's own says that the process must be restarted.

    It need not be: the next call reconnects.
    """

    @contextmanager
    def reconnect_on_error(self) -> Iterator[None]:
        """Connect anew, once, if the connection was lost."""
        try:
            yield
        except TimeoutError:
            raise
        except self.lost_connection:
            self.connect_anew()

    def cancel_for(self, task_id: str) -> None:
        """End the subscription to a result; also called when an `AsyncResult` is collected."""
        try:
            super().cancel_for(task_id)
        except self.lost_connection as error:
            log.debug("The subscription to the result of task {} ended with its connection: {}", task_id, error)


class RedisBackend(results.RedisBackend):
    """Celery's backend, without a subscription for each task that is sent, and with patience in the process of a task.

    Celery's own subscribes to the result when the task is sent, and ends that when the `AsyncResult` is collected:
    two more calls to the server for each task, in the request and in the garbage collector. `get()` subscribes by
    itself.
    """

    ResultConsumer = QuietResultConsumer
    max_connections = MAX_CONNECTIONS

    @cached_property
    def client(self) -> Any:
        """What talks to the server. Once it is made, no lock is taken for it, which Celery does each time.

        A child that is forked while a thread of the worker holds one would wait for it for ever.
        """
        client = super().client
        client.store_result = client.register_script(STORE)
        return client

    def new_pool(self, **params: Any) -> Any:
        """A pool that waits for a connection where all are in use: Celery's raises an error, and the result is lost."""
        return GuardedPool(timeout=ANSWER_TIMEOUT, **connection_options(), **params)  # type: ignore[no-untyped-call]

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Called before a task is sent."""

    def encode_result(self, result: Any, state: str) -> Any:
        """What is stored of a result: what a task returns arrives as it is, or the task has failed."""
        encoded = super().encode_result(result, state)
        task = get_current_task()
        if state != states.SUCCESS or task is None or self.serializer != "json":
            return encoded
        try:
            marked = written_result(task, encoded)
        except (TypeError, ValueError, RecursionError) as error:
            raise EncodeError(f"its result of the type {type(encoded).__name__} is not JSON: {error}") from error
        return encoded if marked is encoded else Marked(marked)

    def exception_to_python(self, exc: Any) -> Any:
        """The exception that a result stands for; one that would end the process which asks for it is an error here.

        A task whose function raises one has failed with a `RuntimeError`, so that someone else has written it.
        """
        error = super().exception_to_python(exc)
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            return RuntimeError(f"the result is {error!r}, which no task gives")
        return error

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Keep a result or a state; where it is a task's own process that does so, wait until the server can.

        The work is done, and without its result callers would wait for it in vain. Celery would count the task
        as failed, and go on with the next, which would be no better off. The hard time limit holds meanwhile.
        """
        told, pauses = False, growing(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                stored = super().store_result(task_id, result, state, *args, **kwargs)
            except (*GONE, *REFUSED) as error:
                if get_current_task() is None:
                    raise
                if not told:
                    _tell(task_id, error)
                told = True
            else:
                if told:
                    log.info(f"the state of task {task_id} is stored")
                return stored
            time.sleep(next(pauses))

    def mark_as_revoked(self, task_id: str, reason: str = "", *args: Any, **kwargs: Any) -> None:
        """Keep that a task does not run. The process that has the connection to the broker does not wait for it."""
        writer = self.app.state_writer
        mark = partial(super().mark_as_revoked, task_id, reason, *args, **kwargs)
        if writer is None or writer.is_here or get_current_task() is not None:
            mark()
        else:
            writer.add(f"that task {task_id} was {reason}", mark, backend=self)

    def write_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """What each backend of Celery does in its own way; Celery's for redis looks and writes in two calls."""
        if self.serializer != "json":  # the script reads nothing else
            return super().write_result(task_id, result, state, traceback, request, **kwargs)
        meta = self.result_fields(result, state, traceback, request)
        if "args" in meta and meta["name"]:  # `result_extended`
            meta["args"], meta["kwargs"] = map(
                Marked, marked_arguments(meta["args"], meta["kwargs"], meta["name"], self.app.parameters_of)
            )
        value = self.encode({**meta, "task_id": bytes_to_str(task_id)})
        if len(value) > self.LONGEST_TEXT:
            raise BackendStoreError(  # type: ignore[call-arg]
                "the value is too large for redis", state=state, task_id=task_id
            )
        expires = self.failure_expires if state == states.FAILURE else self.expires
        self.ensure(self._store, ([self.get_key_for_task(task_id)], [value, expires or ""]))
        return result

    def _store(self, keys: list[str], args: list[Any]) -> Any:
        return self.client.store_result(keys, args)


def _tell(task_id: str, error: Exception) -> None:
    waits = f"the state of task {task_id} waits to be stored ({type(error).__name__}: {error})"
    if isinstance(error, REFUSED):
        log.error(
            f"{waits}: redis refuses this worker. {CHECK_SETTING}, and what redis lets that user do;"
            " a worker that is restarted takes the setting as it is then"
        )
    else:
        log.warning(waits)


class SentinelBackend(RedisBackend, results.SentinelBackend):
    """The same, where Sentinel says which server is the master."""

    def new_pool(self, **params: Any) -> Any:
        """A pool that asks Sentinel; it makes as many connections as it is asked for, up to the limit."""
        pool: Any = results.SentinelBackend.new_pool(self, **connection_options(), **params)
        pool.__class__ = GuardedSentinelPool
        return pool


def connection_options() -> dict[str, Any]:
    """What each connection is told."""
    return {"maint_notifications_config": MaintNotificationsConfig(enabled=False), "parser_class": StateParser}


RESULT_BACKENDS = {
    **dict.fromkeys(("redis", "rediss"), f"{__name__}:{RedisBackend.__name__}"),
    "sentinel": f"{__name__}:{SentinelBackend.__name__}",
}

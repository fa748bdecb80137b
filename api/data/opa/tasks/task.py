"""What a task can do besides what Celery's tasks can: be asynchronous, be sent from an event loop."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from celery import Task as CeleryTask
from celery._state import get_current_task
from celery.app.task import Context
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from kombu.exceptions import EncodeError

from opa.core.errors import TaskArgumentError
from opa.tasks import loop
from opa.tasks.result import TaskResult

P = ParamSpec("P")
R = TypeVar("R")

# A coroutine does not run in the thread that Celery keeps its request for.
_request: ContextVar[Context | None] = ContextVar("opa_task_request", default=None)

if TYPE_CHECKING:
    _Base = CeleryTask[P, R]
else:
    _Base = CeleryTask


class Task(_Base, Generic[P, R]):  # type: ignore[type-arg]
    """A task: everything of `celery.Task`, and `send` for asynchronous callers.

    Called directly, it runs here and now, as the function that it was made from; an `async def` is then awaited.
    """

    abstract = True

    async def send(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Send the task to a worker, without holding the event loop. `delay` is the same for synchronous callers.

        Raises:
            TaskArgumentError: an argument is not JSON.
            kombu.exceptions.OperationalError: the broker does not answer; a route answers 503.
        """
        return await self.send_with({}, *args, **kwargs)

    async def send_with(self, options: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Send it with options of Celery's `apply_async`: `{"queue": "slow", "countdown": 60}`; else as `send`."""
        send = functools.partial(self.apply_async, args, kwargs, **options)
        return TaskResult(await asyncio.to_thread(send))

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        """Celery's `apply_async`; an argument that is not JSON is refused here and not in the worker.

        Raises:
            TaskArgumentError: an argument is not JSON.
        """
        try:
            return super().apply_async(args, kwargs, *positional, **options)
        except EncodeError as error:
            raise self._argument_error(args or (), kwargs or {}, error) from error

    def _argument_error(self, args: Any, kwargs: Any, error: Exception) -> TaskArgumentError:
        named = [(f"number {number}", value) for number, value in enumerate(args, 1)]
        named += [(f"'{name}'", value) for name, value in kwargs.items()]
        which = next((f"argument {name} ({type(value).__name__})" for name, value in named if not _is_json(value)), "")
        code = inspect.unwrap(self.run).__code__
        return TaskArgumentError(
            f"task '{self.name}' is sent with {which or 'something'} that is not JSON: {error}",
            where=f"{code.co_filename}:{code.co_firstlineno}",
            hint="Send numbers, texts, lists and dicts, and make objects from them in the task",
        )

    @property
    def request(self) -> Any:
        """The request that this task answers; as Celery's, and right in a coroutine too."""
        request: Any = _request.get()
        return request if request is not None and request.task == self.name else super().request


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def synchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """What Celery runs for `function`: itself, or for an `async def` something that awaits it on the process's loop."""
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        coroutine = function(*args, **kwargs)
        task = get_current_task()
        if task is None or task.request.called_directly:
            return coroutine  # it is called as a function, by code that awaits it
        token = _request.set(task.request)
        try:
            return loop.wait_for(_within_limits(coroutine, task.request.timelimit or (None, None)))
        finally:
            _request.reset(token)

    # Celery checks arguments when a task is sent, by the signature that it finds.
    run.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return run


async def _within_limits(coroutine: Coroutine[Any, Any, R], limits: tuple[float | None, float | None]) -> R:
    """Hold the time limits by ourselves: Celery's need a process that it can interrupt, and threads are none."""
    hard, soft = limits
    try:
        async with asyncio.timeout(hard) as hard_limit:
            try:
                async with asyncio.timeout(soft) as soft_limit:
                    return await coroutine
            except TimeoutError:
                if soft_limit.expired():
                    raise SoftTimeLimitExceeded(soft) from None
                raise
    except TimeoutError:
        if hard_limit.expired():
            raise TimeLimitExceeded(hard) from None
        raise

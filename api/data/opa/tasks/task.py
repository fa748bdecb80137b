"""What a task can do besides what Celery's tasks can: be asynchronous, be sent from an event loop."""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from celery import Task as CeleryTask
from celery.exceptions import CDeprecationWarning, Retry, SoftTimeLimitExceeded, TimeLimitExceeded
from kombu.exceptions import EncodeError

from opa._compat.celery.app import get_current_task
from opa._util.sources import where_is, where_is_function
from opa.core.threads import in_pool
from opa.errors import RegistrationError
from opa.tasks.codec import Sending
from opa.tasks.components import with_components
from opa.tasks.current_request import current_request
from opa.tasks.request_ids import belonging_to_its_request
from opa.tasks.result import TaskResult
from opa.tasks.worker import loop, outages, soft_limit

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
"""What is awaited of an `async def`: its result, where `R` is the coroutine that a call of it gives."""

if TYPE_CHECKING:
    _Base = CeleryTask[P, R]
else:
    _Base = CeleryTask


class RetryLater(Retry):
    """Raised in a coroutine by `retry`: the thread that waits for the coroutine does it, since it may block."""

    def __init__(self, args: Any, kwargs: Any, options: dict[str, Any]) -> None:
        super().__init__("it is asked for in a coroutine")
        self.arguments = (args, kwargs)
        self.options = options


class Task(_Base, Generic[P, R]):  # type: ignore[type-arg]
    """A task: everything of `celery.Task`, and `send` for asynchronous callers.

    Called directly, it runs here and now, as the function that it was made from; an `async def` is then awaited.
    """

    abstract = True
    Request = "opa.tasks.worker.request:Request"
    waits_for_components: bool = True
    """Whether a task that fails because a component is gone waits until it is back, and runs again."""
    tags: Collection[str] = ()
    """What others choose tasks by, as MCP_TAGS does."""
    unique: str | None = None
    unique_for: float | None = None
    concurrency: Any = None
    rate: Any = None
    from_config: Any
    options_from_settings: tuple[str, ...] = ()

    @classmethod
    def bind(cls, app: Any) -> Any:
        """Called by Celery when the task is made, and once more when all are."""
        if "options_from_settings" not in vars(cls):
            cls.options_from_settings = tuple(name for name, _ in cls.from_config if getattr(cls, name, None) is None)
        with warnings.catch_warnings():
            # Celery 6 will no longer read `queue` and `priority` in a decorator; which Celery is used is ours to say.
            warnings.simplefilter("ignore", CDeprecationWarning)
            super().bind(app)
        cls._fit_limits()
        return app

    @classmethod
    def configure(cls, app: Any) -> None:
        """Take from the settings of the application what the decorator does not say."""
        for name in cls.options_from_settings:
            setattr(cls, name, None)
        cls.bind(app)
        cls.annotate()
        cls._fit_limits()

    @classmethod
    def _fit_limits(cls) -> None:
        soft, hard = cls.soft_time_limit, cls.time_limit
        if soft and hard and soft >= hard and "soft_time_limit" in cls.options_from_settings:
            # A shorter limit was chosen for this task; the soft one of all tasks has nothing to say any more.
            cls.soft_time_limit = None

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        """Celery's `apply_async`; one that runs here and now is given what a worker would be given.

        Raises:
            TaskArgumentError: an argument would not arrive as it is.
        """
        app: Any = self.app
        if not app.conf.task_always_eager:
            return super().apply_async(args, kwargs, *more, **options)
        with Sending(app.limits, self.name, app.parameters_of):
            try:
                return super().apply_async(args, kwargs, *more, **options)
            except EncodeError as error:
                raise app.argument_error(self.name, error) from error

    @overload
    async def send(self: Task[P, Coroutine[Any, Any, A]], /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[A]: ...

    @overload
    async def send(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]: ...

    async def send(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[Any]:
        """Send the task to a worker, without holding the event loop. `delay` is the same for synchronous callers.

        Raises:
            TaskArgumentError: an argument would not arrive as it is.
            TaskTooLargeError: the arguments take more bytes, or more levels, than the settings allow.
            kombu.exceptions.OperationalError: the broker does not answer; a route answers 503.
        """
        return await self.send_with({}, *args, **kwargs)

    @overload
    async def send_with(
        self: Task[P, Coroutine[Any, Any, A]], options: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> TaskResult[A]: ...

    @overload
    async def send_with(self, options: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]: ...

    async def send_with(self, options: Mapping[str, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskResult[Any]:
        """Send it with options of Celery's `apply_async`: `{"queue": "slow", "countdown": 60}`; else as `send`."""
        send = functools.partial(self.apply_async, args, kwargs, **{**_origin(), **options})
        return TaskResult(await in_pool("celery", send))

    def retry(  # noqa: PLR0917 - as Celery has it
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Any = None,
        throw: bool = True,
        eta: Any = None,
        countdown: Any = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Celery's `retry`: send the task again, and raise what ends this run of it."""
        options |= {"exc": exc, "eta": eta, "countdown": countdown, "max_retries": max_retries}
        request = current_request.get()
        limit = self.max_retries if max_retries is None else max_retries
        is_last = request is not None and limit is not None and request.retries >= limit
        if request is None or is_last or not throw or not _is_in_coroutine():
            return super().retry(args, kwargs, throw=throw, **options)
        raise RetryLater(args, kwargs, options)

    @property
    def request(self) -> Any:
        """The request that this task answers; as Celery's, and right in a coroutine too."""
        request: Any = current_request.get()
        return request if request is not None and request.task == self.name else super().request


def _is_in_coroutine() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _origin() -> dict[str, Any]:
    """Which task sends: what Celery itself knows only of a task that sends from its own thread."""
    request = current_request.get()
    return {} if request is None else {"root_id": request.root_id or request.id, "parent_id": request.id}


def refuse_unfit(function: Callable[..., Any]) -> None:
    """Refuse what a call of it would run nothing of: a function that yields, and a class.

    Raises:
        RegistrationError: it is one.
    """
    if isinstance(function, type):
        raise RegistrationError(
            f"'{function.__qualname__}' of a task is a class: a call of it makes an object, and runs nothing",
            where=where_is(function),
            hint="Write a function; or make it a subclass of celery.Task without this decorator, and register it:"
            f" get_instance('celery').register_task({function.__name__}())",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(
            f"the function '{getattr(function, '__qualname__', function)}' of a task is a generator: a call of it runs"
            " nothing",
            where=where_is_function(function),
            hint="Return a list instead of yielding, or send a task for each item",
        )


def synchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """What Celery runs for `function`: the same, but it outlasts outages, and an `async def` is awaited on the loop.

    Raises:
        RegistrationError: it is a generator or a class, or a component cannot be given to it.
    """
    refuse_unfit(function)
    function = with_components(function)
    wrapper: Any = _awaiting(function) if inspect.iscoroutinefunction(function) else _calling(function)
    if not wrapper.__name__.isidentifier():
        wrapper.__name__ = "task"  # Celery writes a function of this name, which it cannot for a lambda
    # Celery checks arguments when a task is sent, by the signature that it finds.
    wrapper.__signature__ = inspect.signature(function)
    wrapper.__opa_synchronous__ = True
    made: Callable[..., Any] = wrapper
    return made


def is_synchronous(function: Callable[..., Any]) -> bool:
    """Whether `synchronous` has made it."""
    return bool(getattr(function, "__opa_synchronous__", False))


def _calling(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with soft_limit.Interruptible():
            result = outlasting(*args, **kwargs)
        if not inspect.isawaitable(result):
            return result
        # A decorator that is a plain `def` may stand before an `async def`.
        task = get_current_task()
        if task is None or task.request.called_directly:
            return result
        first: list[Awaitable[Any]] = [result]
        return _on_loop(task, lambda: _awaited(first.pop() if first else function(*args, **kwargs)))

    def outlasting(*args: Any, **kwargs: Any) -> Any:
        tries = outages.TRIES
        while True:
            try:
                with belonging_to_its_request():
                    return function(*args, **kwargs)
            except Exception as error:
                task, process = get_current_task(), loop.current_loop()
                gone = outages.behind(error, task) if task and process and tries else []
                if not gone or process is None:
                    raise
            if not process.outlast(gone):
                tries -= 1

    return run


def _awaiting(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        task = get_current_task()
        if task is None or task.request.called_directly:
            return function(*args, **kwargs)  # it is called as a function, by code that awaits it
        return _on_loop(task, functools.partial(function, *args, **kwargs))

    return run


async def _awaited(result: Awaitable[R]) -> R:
    return await result


def _on_loop(task: Any, function: Callable[[], Coroutine[Any, Any, R]]) -> Any:
    """Run what `function` gives on the event loop, within the limits of the task, and wait for it."""
    request = task.request
    soft_limit.spare(request.id)  # the coroutine holds the limit
    token = current_request.set(request)
    coroutine = _outlasting(task, function)
    try:
        hard, soft = _limits(task)
        with belonging_to_its_request():
            return loop.wait_for(_within_limits(coroutine, hard, soft), str(request.id), hard)
    except RetryLater as error:
        later = error
    finally:
        current_request.reset(token)
    return task.retry(*later.arguments, **later.options)


async def _outlasting(task: Any, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
    tries = outages.TRIES
    while True:
        try:
            return await function()
        except Exception as error:
            process = loop.current_loop()
            gone = outages.behind(error, task) if process and tries else []
            if not gone or process is None:
                raise
        if not await process.outages.end(gone):
            tries -= 1


def _limits(task: Any) -> tuple[float | None, float | None]:
    """The hard and the soft time limit in seconds: those that the task was sent with, or else its own."""
    hard, soft = task.request.timelimit or (None, None)
    return hard or task.time_limit, soft or task.soft_time_limit


async def _within_limits(coroutine: Coroutine[Any, Any, R], hard: float | None, soft: float | None) -> R:
    """Hold the time limits by ourselves: Celery's need a process that it can interrupt, and threads are none."""
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

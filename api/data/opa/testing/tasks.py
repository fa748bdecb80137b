"""The tasks of a test: recorded instead of sent to a broker, and run when the test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from opa._util.suggestions import nearest
from opa.errors import OpaError
from opa.events.bell import bell_of
from opa.settings.components import task_components
from opa.testing.components import BROKER

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.application import TaskApplication
    from opa.testing.life import Life

__tracebackhide__ = True  # for pytest, which shows the line of the test

Result = TypeVar("Result")
MOST = 1000
"""Tasks that one `run` runs; those that send one another forever are more."""
PENDING = "PENDING"
RINGING = 5.0
"""Seconds for which a committed event may take to wake up a worker."""


@dataclass(eq=False)
class SentTask:
    """A task that was sent. A retry is another one, with the same id.

    Attributes:
        name: of the task.
        args: as its worker gets them.
        kwargs: the same.
        id: of the task.
        queue: where it went.
        countdown: whole seconds that it was to wait when it was sent; None where it was not to wait.
        eta: when it was to run, as ISO text; None where that was not said.
        headers: of the message.
        state: `PENDING` until it has run; then Celery's word for what became of it.
        result: what it has returned.
        error: what it has raised.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    id: str
    queue: str = ""
    countdown: float | None = None
    eta: str | None = None
    headers: dict[str, Any] = field(default_factory=dict, repr=False)
    state: str = PENDING
    result: Any = None
    error: BaseException | None = None
    embedded: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        given = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"{self.name}({', '.join(given)})"


class OpaTasks:
    """The tasks that were sent: what the fixture `opa_tasks` gives.

    Args:
        manager: of the application.
        life: says on which event loop it runs.
        start: starts it.
        is_eager: whether each runs when it is sent.
    """

    def __init__(self, manager: PluginManager, life: Life, start: Callable[[], None], *, is_eager: bool) -> None:
        self._manager = manager
        self._life = life
        self._start = start
        self._is_eager = is_eager
        self._sent: list[SentTask] = []
        self._lock = threading.RLock()
        self._is_refused = False
        self._errors: dict[str, BaseException] = {}
        names = [name for name in task_components(manager.config) if self._is_in_memory(name)]
        self._celery: TaskApplication | None = self._recording() if names else None

    def _is_in_memory(self, component: str) -> bool:
        options = self._manager.config.OPTIONAL_COMPONENTS[component]
        return bool(options["LOAD"] == "yes" and options["OPTS"].get("BROKER_URL") == BROKER)

    def sent(self, task: Any = None) -> list[SentTask]:
        """What was sent, in order.

        Args:
            task: its name, or the task; None for all.
        """
        name = self._name(task)
        if not (self._is_eager and self._life.is_here):  # as each would run on this event loop
            bell_of(self._manager).wait(RINGING)
        with self._lock:
            return [sent for sent in self._sent if name in (None, sent.name)]

    def of(self, task_id: str) -> SentTask:
        """The last one that was sent under an id.

        Raises:
            LookupError: none was.
        """
        with self._lock:
            return next(sent for sent in reversed(self._sent) if sent.id == task_id)

    def assert_sent(self, task: Any, /, *args: Any, **kwargs: Any) -> SentTask:
        """Fail unless a task was sent with these arguments; without any, however it was sent. Gives the last one.

        Raises:
            AssertionError: it was not; the message has what was.
        """
        name = self._name(task)
        found = self.sent(task)
        wanted = self._bound(name, args, kwargs)
        fitting = [
            sent for sent in found if not (args or kwargs) or self._bound(name, sent.args, sent.kwargs) == wanted
        ]
        if not fitting:
            asked = SentTask(str(name), args, kwargs, "") if args or kwargs else f"task {name}"
            raise AssertionError(f"{asked} was not sent; {self._overview()}")
        return fitting[-1]

    def assert_not_sent(self, task: Any, /) -> None:
        """Fail if a task was sent.

        Raises:
            AssertionError: it was.
        """
        if self.sent(task):
            raise AssertionError(f"task {self._name(task)} was sent; {self._overview()}")

    def clear(self) -> None:
        """Forget what was sent."""
        with self._lock:
            self._sent.clear()

    def fail(self, task: Any, error: BaseException) -> None:
        """From now on each run of a task raises `error` instead of running.

        Raises:
            OpaError: there is no such task.
        """
        name, known = str(self._name(task)), self._needed().functions()
        if name not in known:
            near = nearest(name, known)
            names = f"Tasks: {', '.join(known) or 'none'}"
            raise OpaError(f"there is no task '{name}'", hint=f"Did you mean '{near}'? {names}" if near else names)
        self._errors[name] = error

    def refuse(self) -> None:
        """From now on the broker does not answer: who sends a task is told so."""
        self._is_refused = True

    def run(self, task: Any = None, *, raises: bool = True) -> list[SentTask]:
        """Run the tasks that wait, and those that they send, one after another.

        Args:
            task: the name of those to run, or the task; None for all.
            raises: whether what a task raises is raised here, when all have run.

        Returns:
            Those that ran.

        Raises:
            OpaError: this code runs on the event loop of the application, or tasks send one another without an end.
            Exception: what the first task that failed has raised.
        """
        if self._life.is_here:
            raise OpaError("run() would hold the event loop that the tasks need", hint="await opa_tasks.run_async()")
        if self._life.loop is None:
            self._start()
        return self._run(task, raises)

    async def run_async(self, task: Any = None, *, raises: bool = True) -> list[SentTask]:
        """The same, for a test that is `async def`."""
        return await asyncio.to_thread(self._run, task, raises)

    def _run(self, task: Any, raises: bool) -> list[SentTask]:
        self._needed()
        ran: list[SentTask] = []
        while (waiting := next((sent for sent in self.sent(task) if sent.state == PENDING), None)) is not None:
            if len(ran) == MOST:
                raise OpaError(f"{MOST} tasks ran, and there are more: they send one another without an end")
            self._run_one(waiting)
            ran.append(waiting)
        failure = next((sent.error for sent in ran if sent.error is not None), None)
        if raises and failure is not None:
            raise failure
        return ran

    def _run_one(self, sent: SentTask) -> None:
        from celery import states
        from celery.app.trace import trace_task

        celery = self._needed()
        task = celery.tasks[sent.name]
        sent.state = states.STARTED
        request = {
            **sent.headers,
            **sent.embedded,
            "args": sent.args,
            "kwargs": sent.kwargs,
            "hostname": "opa-testing",
            "is_eager": False,
            "delivery_info": {"routing_key": sent.queue, "exchange": "", "redelivered": False},
        }
        with self._failing(task):
            value, info, *_ = trace_task(task, sent.id, sent.args, dict(sent.kwargs), request, app=celery)
        sent.state = states.SUCCESS if info is None else info.state
        if info is None:
            sent.result = value
        elif sent.state == states.FAILURE:
            sent.error = info.retval
        self._give_back(sent)

    @contextmanager
    def _failing(self, task: Any) -> Iterator[None]:
        from opa._compat.celery.app import function_name

        error = self._errors.get(task.name)
        if error is None:
            yield
            return
        name = function_name(task)
        before = vars(task).get(name)

        def fail(*_: Any, **__: Any) -> None:
            raise error

        setattr(task, name, fail)
        task.__trace__ = None
        try:
            yield
        finally:
            if before is None:
                delattr(task, name)
            else:
                setattr(task, name, before)
            task.__trace__ = None

    def _give_back(self, sent: SentTask) -> None:
        """What a unique task holds is free when it has run; a worker does that."""
        from opa.tasks.headers import LOCK

        lock = sent.headers.get(LOCK)
        if lock and sent.state in ("SUCCESS", "FAILURE"):
            self._needed().limit_store.keep(lock, sent.id, 0)

    def _recording(self) -> TaskApplication:
        from kombu.transport.memory import Channel

        from opa.tasks.application import application_of

        Channel.queues.clear()  # of an earlier application
        celery = application_of(self._manager)
        send: Callable[..., Any] = celery.amqp.send_task_message

        def send_and_record(producer: Any, name: str, message: Any, **options: Any) -> Any:
            if self._is_refused:
                from kombu.exceptions import OperationalError

                raise OperationalError("the broker does not answer: opa_tasks.refuse() was called")
            with self._lock:
                sent = send(producer, name, message, **options)
                taken = [self._taken(each, queue) for queue, each in _messages(producer.channel)]
                self._sent += taken
            if self._is_eager:
                for each in taken:
                    self._run_one(each)
            return sent

        celery.amqp.send_task_message = send_and_record  # type: ignore[misc]  # Celery keeps it as an attribute
        return celery

    def _taken(self, message: Any, queue: str) -> SentTask:
        headers = dict(message.headers)
        args, kwargs, embedded = message.decode()
        return SentTask(
            name=headers["task"],
            args=tuple(args),
            kwargs=dict(kwargs),
            id=headers["id"],
            queue=queue,
            countdown=_seconds_until(headers.get("eta")),
            eta=headers.get("eta"),
            headers={**headers, **{key: message.properties.get(key) for key in ("correlation_id", "reply_to")}},
            embedded=dict(embedded or {}),
        )

    def _bound(self, name: str | None, args: Any, kwargs: Any) -> Any:
        """The arguments by the names of their parameters, so that it does not matter how they were given."""
        signature = None
        if self._celery is not None and name in self._celery.functions():
            signature = self._celery.signature_of(str(name))
        if signature is None:
            return tuple(args), dict(kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return tuple(args), dict(kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _name(self, task: Any) -> str | None:
        return task if task is None or isinstance(task, str) else task.name

    def _overview(self) -> str:
        sent = self.sent()
        return f"what was sent: {'; '.join(map(str, sent))}" if sent else "no task was sent"

    def _needed(self) -> TaskApplication:
        if self._celery is None:
            raise OpaError(
                "no task of this test is recorded",
                hint="No plugin that is loaded has one, or the mark 'opa_services' has them sent to a broker",
            )
        return self._celery


def _seconds_until(eta: str | None) -> float | None:
    return None if eta is None else round((datetime.fromisoformat(eta) - datetime.now(UTC)).total_seconds())


def _messages(channel: Any) -> Iterator[tuple[str, Any]]:
    """What is in the memory of a broker, and there no longer."""
    for queue in list(channel.queues):
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            yield queue, message

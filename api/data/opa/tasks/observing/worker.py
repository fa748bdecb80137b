"""How observers hear of tasks: by Celery's signals where a task runs, and by the request in its worker beside that.

Where no observer is registered nothing of this is called.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.worker import state
from loguru import logger

from opa.current import current
from opa.logging.lines import text_line
from opa.tasks.observing.observers import Observers
from opa.tasks.observing.run import TaskRun

if TYPE_CHECKING:
    from loguru import Message, Record

ATTRIBUTE = "opa_run"
"""Of the request of a task that runs, in its own process."""

PUT_OFF = "opa_put_off"
"""Of a request whose function is not called now: the exception with which it ends."""

current_run: ContextVar[TaskRun | None] = ContextVar("opa_task_run", default=None)
"""The run that this code is for: also in a coroutine, and in a thread that one has begun with its context."""
failed_here: ContextVar[dict[str, Any] | None] = ContextVar("opa_task_failed", default=None)
"""What Celery says has failed, where it says so beside the process that ran it."""


class Observing:
    """Connects observers with a worker, before it forks."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers

    def connect(self) -> None:
        """Listen to what anyone is told of."""
        hear = self._observers.hear
        state.revoked.update(self._observers.cancelled())
        hears_log = hear("logged")
        ends = {"succeeded": signals.task_success, "failed": signals.task_failure, "retried": signals.task_retry}
        if hear("started") or hears_log or any(map(hear, ends)):
            signals.task_prerun.connect(self._begin, weak=False)
        signals.task_success.connect(self._succeed, weak=False)
        signals.task_failure.connect(self._fail, weak=False)
        signals.task_retry.connect(self._retry, weak=False)
        if hear("received"):
            signals.task_received.connect(self._receive, weak=False)
        signals.worker_process_shutdown.connect(self._stop, weak=False)
        if hears_log:
            logger.add(
                self._log,
                level=current.log_level,
                format=lambda record: text_line(record, colored=False, is_folded=True),
                filter=_is_in_run,
                colorize=False,
                backtrace=False,
                diagnose=False,
                catch=True,
            )

    def _receive(self, request: Any, **_: Any) -> None:
        self._observers.tell("received", self._observers.run_of(request.request_dict))

    def _begin(self, task: Any, **_: Any) -> None:
        request = task.request_stack.top
        if request is None or request.is_eager or hasattr(request, PUT_OFF):
            return
        run = self._observers.run_of(vars(request), started_at=time.time())
        setattr(request, ATTRIBUTE, run)
        self._observers.tell("started", run)
        current_run.set(run)  # what observers say of it is no line of the task

    def _succeed(self, sender: Any, result: Any = None, **_: Any) -> None:
        self._end(sender, "succeeded", result=result)

    def _retry(self, sender: Any, reason: Any = None, **_: Any) -> None:
        self._end(sender, "retried", error=getattr(reason, "exc", None), reason="" if reason is None else str(reason))

    def _fail(self, sender: Any, task_id: str, exception: Any = None, **_: Any) -> None:
        if self._end(sender, "failed", error=exception):
            return
        if (here := failed_here.get()) is not None:
            here["error"] = exception

    def _end(self, task: Any, event: str, **fields: Any) -> bool:
        """Tell the end of what runs in this thread; whether something did."""
        request = task.request_stack.top
        run: TaskRun | None = None if request is None else getattr(request, ATTRIBUTE, None)
        if run is None:
            return request is not None and request.is_eager
        delattr(request, ATTRIBUTE)
        if current_run.get() is run:
            current_run.set(None)
        self._observers.tell(event, run.changed(ended_at=time.time(), **fields))
        return True

    def _log(self, message: Message) -> None:
        run = current_run.get()
        if run is not None:
            self._observers.tell("logged", run, str(message))

    def _stop(self, **_: Any) -> None:
        self._observers.stop()


def _is_in_run(_record: Record) -> bool:
    return current_run.get() is not None


@contextmanager
def noting_failure() -> Iterator[dict[str, Any]]:
    """What fails in the block beside the process that ran it: the key `error` is there if something does."""
    found: dict[str, Any] = {}
    token = failed_here.set(found)
    try:
        yield found
    finally:
        failed_here.reset(token)

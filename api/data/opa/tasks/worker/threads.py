"""The pool of `-P threads`: asynchronous tasks run side by side on the event loop, and a thread waits for each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.concurrency.thread import TaskPool
from celery.exceptions import WorkerLostError
from celery.worker import state
from kombu.asynchronous import get_event_loop

from opa._compat.celery.worker import run_ready_callbacks
from opa.logging.logger import log
from opa.tasks.worker.loop import CLEANUP_LIMIT, GivenBackError, give_back
from opa.tasks.worker.stopping import Stopping
from opa.tasks.worker.thread_limits import GivenUpError, Limited, ThreadLimits

POLL_INTERVAL = 0.2


class Job:
    """A task in a thread of its own."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.is_ended = self.is_over = False

    def terminate(self, _signal: int | None = None) -> None:
        """End it, where it is asynchronous. Any other goes on until it has done its work: a thread cannot be ended."""
        self.is_ended = True
        give_back(self.task_id)

    def run(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        callback: Callable[[Any], None],
        error_callback: Callable[[ExceptionInfo], None],
        accept_callback: Callable[[int, float], None],
        *,
        limits: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Called in the thread."""
        if self.is_ended:
            return
        accept_callback(os.getpid(), time.monotonic())
        try:
            with limits():
                result = target(*args)
        except GivenBackError:
            self.tell_given_back()  # not acknowledged: the broker gives it to another worker
        except GivenUpError:
            return  # that it has failed is noted
        except BaseException as error:  # noqa: BLE001 - one that Celery does not take for the task's, such as SystemExit
            try:
                raise WorkerLostError(repr(error)) from error
            except WorkerLostError:
                error_callback(ExceptionInfo())
        else:
            callback(result)

    def tell_given_back(self) -> None:
        """Tell observers that another worker gets it."""
        request: Any = state.requests.get(self.task_id)
        if request is not None:
            request.tell("given_back", reason="its worker stops, or has lost the broker")

    def give_up(self) -> None:
        """Leave it to itself: it has failed already."""
        self.is_over = True


class ThreadPool(TaskPool):
    """Celery's pool of threads, which can end asynchronous tasks, and ends in time itself."""

    executor: ThreadPoolExecutor
    stopping: Stopping | None = None
    limits: ThreadLimits | None = None
    """What holds the time limits of `def` tasks, if something does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._jobs: dict[Future[None], Job] = {}

    @property
    def has_left_threads(self) -> bool:
        """Whether tasks still run that cannot be ended; Python would wait for them before it exits."""
        return bool(self._jobs)

    def on_apply(  # type: ignore[override]  # as Celery calls it
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        _kwargs: dict[str, Any] | None = None,
        *,
        callback: Callable[[Any], None],
        error_callback: Callable[[ExceptionInfo], None],
        accept_callback: Callable[[int, float], None],
        correlation_id: str,
        timeout_callback: Callable[[bool, float], None] | None = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Job:
        """Run a task."""
        job = Job(correlation_id)

        def limits() -> AbstractContextManager[None]:
            if self.limits is None or timeout_callback is None or not (soft_timeout or timeout):
                return nullcontext()
            return self.limits.of(Limited(job.task_id, soft_timeout, timeout, timeout_callback, job.give_up))

        future = self.executor.submit(job.run, target, args, callback, error_callback, accept_callback, limits=limits)
        self._jobs[future] = job
        future.add_done_callback(self._end)
        return job

    def _end(self, future: Future[None]) -> None:
        del self._jobs[future]
        if not future.cancelled() and (error := future.exception()):
            log.opt(exception=error).error("what Celery does at the end of a task failed")

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Nothing: all tasks have the same process. Celery calls `terminate` of the job as well."""

    def on_stop(self) -> None:
        """Wait for the tasks as long as they may take, and then give back those that are not done."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        while self._unfinished() and not (self.stopping and self.stopping.is_over):
            self._wait(POLL_INTERVAL)
        if unfinished := self._unfinished():
            log.warning(f"{len(unfinished)} tasks still run and go back to the queue")
            give_back()
            deadline = time.monotonic() + CLEANUP_LIMIT
            while self._unfinished() and time.monotonic() < deadline:
                self._wait(POLL_INTERVAL)
            for future in self._unfinished():
                self._jobs[future].tell_given_back()  # a thread cannot be ended, and ends with the process

    def _unfinished(self) -> list[Future[None]]:
        """The tasks that run, without those that have failed already since they had their time."""
        return [future for future, job in tuple(self._jobs.items()) if not job.is_over]

    def _wait(self, seconds: float) -> None:
        wait(tuple(self._jobs), seconds)
        if hub := get_event_loop():
            # Meanwhile: heartbeats, and acknowledgements of the tasks that are done.
            hub.fire_timers()
            run_ready_callbacks(hub)

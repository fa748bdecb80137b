"""One event loop for each worker process, in a thread beside the tasks: asynchronous tasks and components share it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from celery.exceptions import TimeLimitExceeded

from opa.core.drivers import Driver
from opa.core.lifespan import running
from opa.core.manager import PluginManager
from opa.core.start_waits import start_waits_told
from opa.core.stopped_start import has_started
from opa.current import current
from opa.logging.logger import log
from opa.process.health_target import note_start
from opa.tasks.worker.outages import Outages

Result = TypeVar("Result")

CLEANUP_LIMIT = 5.0
"""Seconds that a coroutine has to end in when it is cancelled, and the loop beyond what disconnecting may take."""
LIMIT_EXTRA = 1.0
"""Seconds after its time limit at which a coroutine that goes on all the same is cancelled once more."""


class GivenBackError(BaseException):
    """The task is to be run by another worker; no exception of its own, so that nothing takes it for its failure."""


@dataclass(eq=False)
class _Run:
    """A coroutine that a thread waits for."""

    task_id: str
    done: Future[Any] = field(default_factory=Future)
    task: asyncio.Task[Any] | None = None
    is_given_back: bool = False

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Called on the loop."""
        self.task = asyncio.get_running_loop().create_task(_harmless(coroutine))
        self.task.add_done_callback(self._end)
        if self.is_given_back:
            self.task.cancel()

    def cancel(self) -> None:
        """Called on the loop."""
        if self.task is not None:
            self.task.cancel()

    def _end(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.done.cancel()
            self.done.set_running_or_notify_cancel()
        elif error := task.exception():
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


class ProcessLoop:
    """The event loop of this process, with the components connected on it."""

    def __init__(self, manager: PluginManager) -> None:
        self.outages = Outages()
        self._manager = manager
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._runs: set[_Run] = set()
        self._started: Future[None] = Future()
        self._serving: asyncio.Task[None] | None = None
        self._is_given_up = False
        self._thread = threading.Thread(target=self._run, name="event-loop", daemon=True)

    def start(self, is_told_to_stop: Callable[[], bool]) -> bool:
        """Connect the components and run the setups; false where the process was told to stop before that was done.

        Raises:
            OpaError: one of them failed; the loop has ended, and what had connected is disconnected.
        """
        self._thread.start()
        return has_started(
            self._started,
            is_told_to_stop=is_told_to_stop,
            cancel=self._give_up,
            cleanup_limit=self._cleanup_limit(),
        )

    def wait_for(self, coroutine: Coroutine[Any, Any, Result], task_id: str, time_limit: float | None) -> Result:
        """Run `coroutine` on the loop, for the task `task_id`, and wait for it in the thread that calls.

        Args:
            time_limit: seconds after which it ends by itself, or is left alone.

        Raises:
            GivenBackError: `give_back` was called for the task.
            RuntimeError: it is the loop itself that calls.
            TimeLimitExceeded: it does not end by itself.
        """
        loop = self._loop
        assert loop is not None  # noqa: S101 - start() has been called
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("an 'async def' task is run in a way that would hold the event loop: await it instead")
        run = _Run(task_id)
        self._runs.add(run)
        try:
            # In a copy of this thread's context, which has the request of the task.
            loop.call_soon_threadsafe(run.begin, coroutine)
            result: Result = _result(run.done, time_limit)
            return result
        except CancelledError:
            if run.is_given_back:
                raise GivenBackError(task_id) from None
            raise
        except BaseException:
            if not run.done.done():  # the process is told to end, or the coroutine does not
                loop.call_soon_threadsafe(run.cancel)
                _wait(run.done)
            raise
        finally:
            self._runs.discard(run)

    def outlast(self, components: list[Driver]) -> bool:
        """Wait in the thread that calls until all `components` answer; whether one did not. See `Outages`."""
        assert self._loop is not None  # noqa: S101 - start() has been called
        return asyncio.run_coroutine_threadsafe(self.outages.end(components), self._loop).result()

    def give_back(self, task_id: str | None) -> None:
        """Cancel the coroutine of a task, or of all, because another worker is to run it."""
        assert self._loop is not None  # noqa: S101 - start() has been called
        for run in tuple(self._runs):
            if task_id in (None, run.task_id):
                run.is_given_back = True
                self._loop.call_soon_threadsafe(run.cancel)

    def stop(self) -> None:
        """Disconnect the components and end the loop."""
        if self._loop is None or self._stop is None or not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._cleanup_limit())
        if self._thread.is_alive():
            log.warning("the event loop does not end: a task holds it, or the components do not disconnect")

    def _cleanup_limit(self) -> float:
        components = len(self._manager.optional_components)
        return float(components * self._manager.config.COMPONENT_DISCONNECT_TIMEOUT + CLEANUP_LIMIT)

    def _give_up(self) -> None:
        """Cancel the start, as soon as what it is in lets the loop turn."""
        self._is_given_up = True
        if self._loop is not None and self._serving is not None:
            with suppress(RuntimeError):  # it has ended just now
                self._loop.call_soon_threadsafe(self._serving.cancel)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._serving = asyncio.current_task()
        try:
            if self._is_given_up:  # before there was a task to cancel
                raise asyncio.CancelledError
            async with running(self._manager):
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)


class BorrowedLoop(ProcessLoop):
    """A loop on which the components are connected already, such as that of an api whose tasks run beside it.

    Args:
        manager: the plugins.
        loop: it runs.
        thread: in which it does.
    """

    def __init__(self, manager: PluginManager, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        super().__init__(manager)
        self._loop, self._thread = loop, thread

    def stop(self) -> None:
        """Whoever has started it stops it."""


async def _harmless(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The same, without the two exceptions that would end the loop, and with it all tasks of the process."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the task raised {error!r}") from error


def _result(done: Future[Result], time_limit: float | None) -> Result:
    try:
        return done.result(None if time_limit is None else time_limit + LIMIT_EXTRA)
    except TimeoutError:
        if done.done():
            raise
        raise TimeLimitExceeded(time_limit) from None


def _wait(done: Future[Any]) -> None:
    """Wait until a cancelled coroutine has cleaned up."""
    try:
        done.exception(CLEANUP_LIMIT)
    except (CancelledError, TimeoutError):
        return


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


def start_process_loop(manager: PluginManager, is_told_to_stop: Callable[[], bool]) -> bool:
    """Start the loop of this process; false where it was told to stop before it had started.

    Raises:
        OpaError: a component that had to connect did not, or a setup failed.
    """
    loop = ProcessLoop(manager)
    with start_waits_told(partial(note_start, "worker")):
        if not loop.start(is_told_to_stop):
            return False
    current.task_loop = loop
    return True


def stop_process_loop() -> None:
    """Stop the loop of this process, if it has one."""
    if (loop := current_loop()) is not None:
        loop.stop()
        current.task_loop = None


def current_loop() -> ProcessLoop | None:
    """The loop of this process; None outside a worker."""
    loop: ProcessLoop | None = current.task_loop
    return loop


def give_back(task_id: str | None = None) -> None:
    """Cancel the coroutine of a task, or of all, because another worker is to run it; see `GivenBackError`."""
    if (loop := current_loop()) is not None:
        loop.give_back(task_id)


def wait_for(coroutine: Coroutine[Any, Any, Result], task_id: str, time_limit: float | None) -> Result:
    """Run `coroutine` on the loop of this process, or, outside a worker, on one of its own, and wait for it."""
    if (loop := current_loop()) is not None:
        return loop.wait_for(coroutine, task_id, time_limit)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as other_thread:
        return other_thread.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()

"""One event loop for each worker process, in a thread beside the tasks: asynchronous tasks and components share it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from opa.core.lifespan import running
from opa.core.manager import PluginManager

Result = TypeVar("Result")


class ProcessLoop:
    """The event loop of this process, with the components connected on it."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="event-loop", daemon=True)

    def start(self) -> None:
        """Connect the components and run the setups.

        Raises:
            OpaError: one of them failed; the loop has ended, and what had connected is disconnected.
        """
        self._thread.start()
        self._started.result()

    def wait_for(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run `coroutine` on the loop and wait for it, in the thread that calls; cancel it where the wait is broken."""
        assert self._loop is not None  # noqa: S101 - start() has been called
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Disconnect the components and end the loop."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with running(self._manager):
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


_process_loop: ProcessLoop | None = None


def start_process_loop(manager: PluginManager) -> None:
    """Start the loop of this process.

    Raises:
        OpaError: a component that had to connect did not, or a setup failed.
    """
    global _process_loop  # noqa: PLW0603 - a process has one loop for its tasks
    loop = ProcessLoop(manager)
    loop.start()
    _process_loop = loop


def stop_process_loop() -> None:
    """Stop the loop of this process, if it has one."""
    global _process_loop  # noqa: PLW0603
    if _process_loop is not None:
        _process_loop.stop()
        _process_loop = None


def wait_for(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run `coroutine` on the loop of this process, or, outside a worker, on one of its own, and wait for it."""
    if _process_loop is None:
        return asyncio.run(coroutine)
    return _process_loop.wait_for(coroutine)

"""Run a blocking function beside the event loop, and a coroutine on it from another thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from opa.logging.logger import log

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")


async def in_thread(function: Callable[[], Result], *, name: str) -> Result:
    """Await `function()`, run in a daemon thread of its own.

    Unlike `asyncio.to_thread` there is no pool, so that any number run side by side, and a function that never
    returns does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        _settle_from_thread(loop, future, lambda: context.run(function))

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future


WAITING_AT_ONCE = 40
"""Threads of each pool, as many as `def` routes have."""


@functools.cache
def _pool(name: str) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # only where tasks are sent

    return ThreadPoolExecutor(WAITING_AT_ONCE, thread_name_prefix=name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # noqa: TID251 - its threads are the parent's


async def in_pool(pool: str, function: Callable[[], Result]) -> Result:
    """Await `function()`, run in a pool of threads of that name.

    For calls that may wait for a component: in the pool of `asyncio.to_thread` they would keep all others waiting,
    look-ups of names too.
    """
    return await asyncio.get_running_loop().run_in_executor(_pool(pool), contextvars.copy_context().run, function)


def begin_in_pool(pool: str, function: Callable[[], Result]) -> Future[Result]:
    """Run `function()` in a pool of threads of that name, and wait for nothing.

    Raises:
        RuntimeError: the process ends.
    """
    return _pool(pool).submit(function)


def on_loop(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop | None) -> Future[Any]:
    """Have an event loop of another thread await it.

    Raises:
        RuntimeError: the loop is closed, or there is none.
    """
    coroutine = _awaited(awaitable)
    try:
        if loop is None:
            raise RuntimeError("there is no event loop that could await it")
        return asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:  # it may be closed at any moment, so there is no use in asking first
        coroutine.close()
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def start_on(loop: asyncio.AbstractEventLoop | None, awaitable: Awaitable[Any], *, failure: str) -> None:
    """The same, and wait for nothing; nothing is started where the loop is closed.

    Args:
        failure: what the log says where it raises.
    """

    def tell(done: Future[object]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.opt(exception=error).warning(failure)

    with suppress(RuntimeError):
        on_loop(awaitable, loop).add_done_callback(tell)


def _settle_from_thread(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Result], function: Callable[[], Result]
) -> None:
    """Call `function` and hand what it returns or raises to `future`, which belongs to another thread."""

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    result, error = None, None
    try:
        result = function()
    except BaseException as raised:  # noqa: BLE001 - it is handed to the awaiting code
        error = raised
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, result, error)


class SerialThread:
    """A daemon thread that runs one function after another.

    A function that never returns, and whose waiter has given up, is left behind with its thread: the next one gets
    a new thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[Callable[[], None] | None] | None = None

    async def run(self, function: Callable[[], Result]) -> Result:
        """Await `function()`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        context = contextvars.copy_context()
        if self._work is None:
            work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
            # It raises where there are as many threads as there may be; then there is none that works anything off.
            threading.Thread(target=_work_off, args=(work,), name=self._name, daemon=True).start()
            self._work = work
        self._work.put(lambda: _settle_from_thread(loop, future, lambda: context.run(function)))
        try:
            return await future
        except asyncio.CancelledError:
            self._work = None
            raise

    def close(self) -> None:
        """Let the thread end when it has done what it has to do."""
        if self._work is not None:
            self._work.put(None)
            self._work = None


def _work_off(work: SimpleQueue[Callable[[], None] | None]) -> None:
    while (function := work.get()) is not None:
        function()

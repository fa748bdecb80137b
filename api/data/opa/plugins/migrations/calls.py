"""Calls of what may be `def` or `async def`."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

Given = TypeVar("Given")

END_TIMEOUT = 3.0
"""Seconds in which a migration that is interrupted has to end, before its process does."""


async def called(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Call a function, and give its result: `def` in a thread, `async def` on this event loop."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **named)
    given = await in_thread(partial(function, *arguments, **named))
    return await given if inspect.isawaitable(given) else given


async def asked(function: Callable[..., Any], /, *arguments: Any, is_async: bool, **named: Any) -> Any:
    """Call a method of a client, whose methods are asynchronous or are not, which they do not tell."""
    if is_async:
        return await function(*arguments, **named)
    return await in_thread(partial(function, *arguments, **named))


async def in_thread(function: Callable[[], Given]) -> Given:
    """Await `function()`, run in a thread that does not keep the process from ending.

    Whoever is cancelled does not wait for it: nobody stops a thread.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Given] = loop.create_future()
    context = copy_context()

    def settle(given: Any, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(given)
        else:
            outcome.set_exception(error)

    def work() -> None:
        given: Any = None
        failure: BaseException | None = None
        try:
            given = context.run(function)
        except StopIteration as error:
            failure = RuntimeError(f"it raised StopIteration: {error}")  # which nothing that is awaited may raise
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - it is of whoever waits
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, given, failure)

    threading.Thread(target=work, name="migration", daemon=True).start()
    return await outcome


async def beside(work: Callable[[], Coroutine[Any, Any, Given]]) -> Given:
    """Await it on an event loop in a thread: what it runs may hold that one, and not the one of the process.

    It is cancelled with whoever awaits this, which waits for its end, and not for long: what runs in Python does not
    hear of it.
    """
    is_cancelled = False
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def run() -> Given:
        task = asyncio.ensure_future(work())
        running.append((asyncio.get_running_loop(), task))
        if is_cancelled:
            task.cancel()
        return await task

    thread = asyncio.ensure_future(in_thread(lambda: asyncio.run(run())))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        is_cancelled = True
        for loop, task in running:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait((thread,), timeout=END_TIMEOUT)
        thread.cancel()
        raise

"""Calls of what may be `def` or `async def`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Given = TypeVar("Given")


async def called(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Call a function, and give its result: `def` in a thread, `async def` on this event loop."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **named)
    given = await asyncio.to_thread(function, *arguments, **named)
    return await given if inspect.isawaitable(given) else given


async def asked(function: Callable[..., Any], /, *arguments: Any, is_async: bool, **named: Any) -> Any:
    """Call a method of a client, whose methods are asynchronous or are not, which they do not tell."""
    if is_async:
        return await function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)


async def beside(work: Callable[[], Coroutine[Any, Any, Given]]) -> Given:
    """Await it on an event loop in a thread: what it runs may hold that one, and not the one of the process.

    It is cancelled with whoever awaits this, which waits for its end.
    """
    is_cancelled = False
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def run() -> Given:
        task = asyncio.ensure_future(work())
        running.append((asyncio.get_running_loop(), task))
        if is_cancelled:
            task.cancel()
        return await task

    thread = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(run())))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        is_cancelled = True
        for loop, task in running:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait((thread,))
        raise

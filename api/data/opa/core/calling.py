"""Call what may be `def`, `async def`, or either of them behind a decorator."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from opa.core.hooks import is_async_function
from opa.core.threads import in_thread, on_loop


class EndlessError(TimeoutError):
    """What was to be awaited has taken longer than it may."""


async def call(function: Callable[[], Any], *, name: str) -> Any:
    """Await what comes of `function()`; a `def` runs in a thread of that name."""
    if is_async_function(function):
        return await function()
    result = await in_thread(function, name=name)
    return await result if inspect.isawaitable(result) else result  # a decorator may stand before an `async def`


def call_from_thread(
    function: Callable[[], Any], loop: asyncio.AbstractEventLoop | None, limit: float | None = None
) -> Any:
    """What comes of `function()`, called in this thread; where that is to be awaited, `loop` does so meanwhile.

    Args:
        function: what is called.
        loop: it runs in another thread.
        limit: seconds, for what is to be awaited; it is cancelled then.

    Raises:
        EndlessError: it takes longer.
        RuntimeError: the loop is closed, or there is none.
    """
    result = function()
    if not inspect.isawaitable(result):
        return result
    waiting = on_loop(result, loop)
    try:
        return waiting.result(limit)
    except TimeoutError as error:
        if waiting.done():
            raise  # its own
        raise EndlessError(f"no end within {limit:g} s") from error
    finally:
        waiting.cancel()  # nothing where it has ended

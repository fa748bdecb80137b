"""Calls of what may be `def` or `async def`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


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

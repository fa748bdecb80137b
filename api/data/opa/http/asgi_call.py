"""`__call__` of an ASGI application that returns a coroutine, and is none: one around another takes its time."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeAlias, TypeVar

from starlette.types import Receive, Scope, Send

Self = TypeVar("Self")
Call: TypeAlias = Callable[[Self, Scope, Receive, Send], Coroutine[Any, Any, None]]


def asgi_call(function: Call[Self]) -> Call[Self]:
    """Make it a coroutine function for whoever asks: servers tell by this what an ASGI application is."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)

    @wraps(function)
    async def call(self: Self, scope: Scope, receive: Receive, send: Send) -> None:
        await function(self, scope, receive, send)

    return call

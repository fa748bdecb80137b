"""Errors of what stands around the exception handlers of the application, which answer nevertheless."""

from __future__ import annotations

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import Receive, Scope, Send


async def answer_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the exception handlers of the application answer; theirs are further inside than any middleware."""

    async def raising(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    handlers = scope["app"].exception_handlers
    # The handler of these two stands outside of all middleware, where the error is also logged.
    inner = {key: handler for key, handler in handlers.items() if key not in (500, Exception)}
    await ExceptionMiddleware(raising, handlers=inner)(scope, receive, send)

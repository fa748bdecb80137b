"""A plugin that calls `sys.exit` while it answers a request is a plugin with an error: the process goes on."""

from __future__ import annotations

import asyncio
import sys

from starlette.types import ASGIApp, Receive, Scope, Send

from opa.loading.import_errors import summary


def is_of_the_server(error: BaseException) -> bool:
    """Whether it ends the request from outside, since the server stops: then nobody waits for an answer.

    Args:
        error: what is no `Exception`.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return not isinstance(error, SystemExit)


def as_error_of_plugin(error: BaseException) -> Exception:
    """What is answered, and logged, instead: a plugin exits, or has awaited what another part of it has cancelled."""
    is_cancelled = isinstance(error, asyncio.CancelledError)
    found = RuntimeError(
        "it awaits what is cancelled" if is_cancelled else summary(error, "while it answers a request")
    )
    found.__cause__ = error
    return found


def without_exit(app: ASGIApp, around: object) -> ASGIApp:
    """The application, which cannot end the process by `sys.exit` in a task of the middleware around it.

    asyncio ends its loop for that, and with it the requests of all others.

    Args:
        app: what is behind the middleware.
        around: the class of the middleware, or what else makes it. Of Starlette's, BaseHTTPMiddleware runs `app` in a
            task.
    """
    base = sys.modules.get("starlette.middleware.base")
    if base is None or not isinstance(around, type) or not issubclass(around, base.BaseHTTPMiddleware):
        return app
    return _WithoutExit(app)


class _WithoutExit:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except SystemExit as error:
            raise as_error_of_plugin(error) from error

"""What a client is told when a component is not there (503), or what it sent is too much for a task (413).

Why a component is not there, in which a host may be named, is in the log; with READY_DETAILS the client is told too.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from opa import ComponentUnavailableError, PluginManager, Setup, TaskTooLargeError, config, get_plugin_manager, log

WEBSOCKET_CODES = {413: 1009, 503: 1013}
"""What a websocket is closed with: message too big, and try again later."""

Handler = Callable[[HTTPConnection, Any], Awaitable[Response | None]]


def exception_handlers(pm: PluginManager) -> dict[type[Exception], Handler]:
    """Handlers for components that are not loaded, for the errors that say a server is gone, and for large tasks."""
    handlers: dict[type[Exception], Handler] = {ComponentUnavailableError: _not_loaded, TaskTooLargeError: _too_large}
    return handlers | dict.fromkeys(pm.connection_errors(), _gone)


class ErrorsOfClients(Setup):
    """Adds handlers for those of clients that were imported since: when their components were connected."""

    def run(self, app: FastAPI, pm: PluginManager) -> None:
        """Add the missing handlers."""
        for error in pm.connection_errors():
            app.exception_handlers.setdefault(error, _gone)  # type: ignore[arg-type]  # it serves websockets too


async def _not_loaded(connection: HTTPConnection, error: ComponentUnavailableError) -> Response | None:
    found, is_known = get_plugin_manager().report_failure(error)
    if found:  # it is there, and refused
        return await _does_not_answer(connection, error, found, is_known=is_known)
    log.warning("{!r} needs a component that is unavailable: {}", connection.url.path, error.problem)
    told = error.problem if config.READY_DETAILS else f"component '{error.component}' is unavailable"
    return await _refused(connection, 503, told)


async def _too_large(connection: HTTPConnection, error: TaskTooLargeError) -> Response | None:
    log.warning("{!r}: {}", connection.url.path, error.problem)
    return await _refused(connection, 413, "this is too large, or nested too deeply, for the task that it starts")


async def _gone(connection: HTTPConnection, error: Exception) -> Response | None:
    found, is_known = get_plugin_manager().report_failure(error)
    return await _does_not_answer(connection, error, found, is_known=is_known)


async def _does_not_answer(
    connection: HTTPConnection, error: Exception, found: list[str], *, is_known: bool
) -> Response | None:
    names = " or ".join(f"'{name}'" for name in found)
    detail = f"component {names} does not answer" if found else "a component does not answer"
    if is_known:
        log.debug("{!r}: {}", connection.url.path, detail)
    else:
        log.warning("{!r}: {} ({}: {})", connection.url.path, detail, type(error).__name__, error)
    return await _refused(connection, 503, detail)


async def _refused(connection: HTTPConnection, status: int, detail: str) -> Response | None:
    if isinstance(connection, WebSocket):
        reason = detail.encode()[:123].decode(errors="ignore")  # the protocol allows no more
        await connection.close(code=WEBSOCKET_CODES[status], reason=reason)
        return None
    return JSONResponse({"detail": detail}, status_code=status)

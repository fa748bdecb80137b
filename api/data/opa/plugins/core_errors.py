"""What a client is told when a component is not there: 503 and the reason, never a stack trace or a URL."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from opa import ComponentUnavailableError, OpaError, PluginManager, log

Handler = Callable[[HTTPConnection, Any], Awaitable[Response | None]]


def exception_handlers(pm: PluginManager) -> dict[type[Exception], Handler]:
    """A handler for components that are not loaded, and one for each error that says a server is gone."""
    handlers: dict[type[Exception], Handler] = {ComponentUnavailableError: _not_loaded}
    names: dict[type[Exception], list[str]] = {}
    for name, driver in sorted(pm.drivers.items()):
        for error in driver.connection_errors:
            if error in {Exception, BaseException}:
                raise OpaError(
                    f"driver '{name}' has {error.__name__} among its connection_errors, which is every error",
                    hint="Name the errors that its client raises when the server is gone",
                )
            names.setdefault(error, []).append(name)
    in_use = {state.driver_name.lower() for state in pm.component_states.values() if state.load != "no"}
    for error, drivers in names.items():
        handlers[error] = _gone(" or ".join([name for name in drivers if name in in_use] or drivers))
    return handlers


async def _not_loaded(connection: HTTPConnection, error: ComponentUnavailableError) -> Response | None:
    log.warning("{!r} needs a component that is not there: {}", connection.url.path, error.problem)
    return await _unavailable(connection, error.problem)


def _gone(drivers: str) -> Handler:
    async def gone(connection: HTTPConnection, error: Exception) -> Response | None:
        detail = f"component of driver {drivers} does not answer"
        log.warning("{!r}: {} ({}: {})", connection.url.path, detail, type(error).__name__, error)
        return await _unavailable(connection, detail)

    return gone


async def _unavailable(connection: HTTPConnection, detail: str) -> Response | None:
    if isinstance(connection, WebSocket):
        reason = detail.encode()[:123].decode(errors="ignore")  # the protocol allows no more
        await connection.close(code=1013, reason=reason)  # try again later
        return None
    return JSONResponse({"detail": detail}, status_code=503)

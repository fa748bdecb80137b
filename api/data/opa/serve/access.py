"""The access log: a line for each request that was answered, with fields, and which requests it leaves out.

Of websockets, those have a line whose handshake was refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from opa.http.health_paths import METHODS
from opa.http.request_facts import KnownRoutes, actor_here, actor_in
from opa.logging.request_id import get_request_id

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from opa.http.application import Api

LOGGER = "uvicorn.access"
OTHER_LOGGER = "uvicorn.error"
"""To which uvicorn writes of handshakes of websockets."""
WEBSOCKET = "WEBSOCKET"
"""In place of a method, as in other lines of the log."""


class AccessLog:
    """That of a process.

    Args:
        api: the application, which knows routes and plugins.
    """

    def __init__(self, api: Api) -> None:
        self._routes = KnownRoutes(api)
        self._logger = logging.getLogger(LOGGER)

    def begin(self, cycle: RequestResponseCycle) -> None:
        """Write the line for this request when its answer is complete, in place of uvicorn's when it begins."""
        if not self._logger.isEnabledFor(logging.INFO):
            cycle.access_log = False
            return
        cycle.access_logger = _Line(self, cycle)  # type: ignore[assignment]

    def write(
        self,
        arguments: tuple[Any, ...],
        scope: Any,
        request_id: str | None,
        duration: float,
        actor: str | None = None,
    ) -> None:
        """Write a line.

        Args:
            arguments: uvicorn's: client, method, path, HTTP version and status.
            scope: of the request.
            request_id: its id, where it has one.
            duration: seconds.
            actor: the id of who is calling, where the scope does not have it.
        """
        if not self._logger.isEnabledFor(logging.INFO):  # since the request began
            return
        client, method, _, _, status = arguments
        place = self._routes.place(scope)
        found = {
            "method": method,
            "path": scope["path"],
            "route": place.route,
            "plugin": place.plugin,
            "status": status,
            "duration": round(duration, 6),
            "client": client.rpartition(":")[0] or None,
            "request_id": request_id,
            "actor": actor_in(scope) or actor,
        }
        fields = {name: value for name, value in found.items() if value is not None}
        self._logger.info('%s - "%s %s HTTP/%s" %d', *arguments, extra=fields)

    def write_refused_handshake(self, scope: Any, status: int, duration: float) -> None:
        """Write the line of a websocket that was not accepted.

        Args:
            scope: of the websocket.
            status: with which it was refused.
            duration: seconds.
        """
        arguments = get_client_addr(scope), WEBSOCKET, get_path_with_query_string(scope), scope["http_version"], status
        self.write(arguments, scope, get_request_id(), duration, actor_here())


class _Line:
    """Stands for uvicorn's logger, for one request: it is told the status when the answer begins."""

    __slots__ = ("_actor", "_arguments", "_log", "_request_id", "_scope", "_started")

    def __init__(self, log: AccessLog, cycle: RequestResponseCycle) -> None:
        self._log = log
        self._scope = cycle.scope
        self._started = time.perf_counter()
        self._arguments: tuple[Any, ...] = ()
        self._request_id: str | None = None
        self._actor: str | None = None

    def info(self, _message: str, *arguments: Any) -> None:
        """Uvicorn calls it."""
        self._arguments = arguments
        self._request_id = get_request_id()
        self._actor = actor_here()

    def end(self) -> None:
        """The answer is complete, or its client gone; nothing is written of a request that had none."""
        if self._arguments:
            arguments, self._arguments = self._arguments, ()
            duration = time.perf_counter() - self._started
            self._log.write(arguments, self._scope, self._request_id, duration, self._actor)


def end_line(cycle: RequestResponseCycle | None) -> None:
    """Write the line of a request, where it has one that is not written yet."""
    line = getattr(cycle, "access_logger", None)
    if type(line) is _Line:
        line.end()


class WithoutHealthChecks(logging.Filter):
    """Drops the lines of health checks that went well: a container's comes every few seconds, and hides the others.

    Args:
        paths: of the health routes.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        super().__init__()
        self._paths = frozenset(paths)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written. Its arguments are uvicorn's: client, method, path, HTTP version and status."""
        match record.args:
            case (_, str(method), str(path), _, 200):
                return method not in METHODS or path.partition("?")[0] not in self._paths
        return True


def without_refused_handshakes(record: logging.LogRecord) -> bool:
    """A filter: drops the lines of uvicorn itself of handshakes that were refused, which have one with fields here."""
    message = str(record.msg)
    return not message.startswith(_HANDSHAKE) or message.endswith(_ACCEPTED)


_HANDSHAKE, _ACCEPTED = '%s - "WebSocket %s" ', "[accepted]"

"""The port for operating: health and readiness where no client of the api gets to.

Its listening socket is opened before the fork, as that of the api, and each process accepts from it. It has connections
of its own, with limits of their own: whoever takes all places at the api takes none here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from opa.http.health_paths import health_paths, operating_paths
from opa.http.operating import OperatingApp
from opa.logging.logger import log
from opa.process.listen import BACKLOG, Listeners, address_of, listening_socket
from opa.serve.config import SharingConfig
from opa.serve.connections import Connections
from opa.serve.protocol import HttpProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute

    from opa.settings.load import Config

MOST_CONNECTIONS = 32
"""Connections of a process: more than anyone needs who watches it, and too few to be felt by the api."""

UNREAD_TIMEOUT = 5.0
"""Seconds after which who does not read its answer is let go: the places are few, and a health check needs one."""


def operating_socket(config: Config) -> socket.socket:
    """The socket that listens on OPERATING_HOST and OPERATING_PORT.

    Raises:
        StartError: the address is taken, not allowed, or not one of this machine.
    """
    listener = listening_socket(config.OPERATING_HOST, config.OPERATING_PORT, prefix="OPERATING_")
    log.info(f"health and readiness on {address_of(listener)}")
    return listener


class OperatingConfig(SharingConfig):
    """uvicorn's options for it.

    Args:
        config: reads `ACCESS_LOG` and the limits.
        app: what answers.
        paths: those that are answered however much there is to do.
    """

    def __init__(self, config: Config, app: OperatingApp, paths: frozenset[str]) -> None:
        self.connections = Connections(config, paths)
        self.connections.connections = min(self.connections.connections, MOST_CONNECTIONS)
        self.connections.idle_time = min(self.connections.idle_time, UNREAD_TIMEOUT)
        super().__init__(
            app,
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=bool(config.ACCESS_LOG),
            server_header=False,
            proxy_headers=False,
            workers=1,
        )


class OperatingServer:
    """Serves the operating routes in the event loop of the api.

    Args:
        config: the settings.
        routes: the operating routes.
        listener: the socket that all processes accept from.
        stands_in: whether that is the one of the api, which does not serve yet.
    """

    def __init__(
        self, config: Config, routes: Iterable[BaseRoute], listener: socket.socket, *, stands_in: bool = False
    ) -> None:
        self._app = OperatingApp(config, routes, stands_in=stands_in)
        paths = (health_paths(config) or operating_paths(config)) if stands_in else operating_paths(config)
        self._config = OperatingConfig(config, self._app, paths)
        self._state = ServerState()
        self._listener = listener
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._listeners: Listeners | None = None

    async def start(self) -> None:
        """Accept connections, unless it does so already."""
        if self._listeners is not None:
            return
        if not self._config.loaded:
            self._config.load()
        self._config.connections.open(self._state.connections)
        self._sockets = [self._listener.dup()]  # it is closed with what accepts from it, which may begin again
        self._listeners = Listeners(self._sockets, self._listen)
        await self._listen(self._sockets[0])

    async def look_after(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Look after the connections; called once a second.

        Args:
            headers: what each answer has, such as the date.
        """
        self._state.default_headers = headers
        self._config.connections.sweep(asyncio.get_running_loop().time())
        if self._listeners is not None:
            await self._listeners.revive()

    def tell_start(self, waits: str | None) -> None:
        """Say from now on that the process starts, and what it waits for; None: that it has started."""
        self._app.start_waits = waits

    def drain(self) -> None:
        """Say from now on that the process is not ready: it takes no more requests."""
        self._app.is_stopping = True

    def pause(self) -> None:
        """Accept no more connections until it is started again; those that there are are answered."""
        if self._listeners is not None:
            self._listeners.close()
            self._listeners = None
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self) -> None:
        """Accept no more connections, and close those that there are when they are answered."""
        self.pause()
        self._listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    def abandon(self) -> None:
        """Close its sockets in a child process, which would hold the port when this process has ended."""
        for listener in (self._listener, *self._sockets):
            listener.close()
        if self._listeners is not None:
            self._listeners.close()

    async def _listen(self, listener: socket.socket) -> None:
        def protocol() -> HttpProtocol:
            return HttpProtocol(self._config, self._state, {})

        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(protocol, sock=listener, backlog=BACKLOG))

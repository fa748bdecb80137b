"""uvicorn, as every serving process of opa-stack runs it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from opa.current import current
from opa.errors import StartError
from opa.http.health_paths import health_paths, operating_paths
from opa.http.observers import going_on_in
from opa.process.listen import Listeners, refuse_connections, refuses_connections
from opa.serve import access
from opa.serve.config import SharingConfig
from opa.serve.connections import Connections
from opa.serve.protocol import HttpProtocol
from opa.serve.starting import answering_meanwhile
from opa.serve.websocket import WebSocketProtocol

if TYPE_CHECKING:
    from opa.serve.blocked_start import BlockedStart
    from opa.serve.operating import OperatingServer
    from opa.settings.load import Config

# How long requests that are on their way have to arrive when the server stops: at least, since a handshake
# may be under way, and at most, where clients keep connections open.
MIN_DRAIN = 0.2
MAX_DRAIN = 1.0
POLL_INTERVAL = 0.05
NEWCOMER_INTERVAL = 0.01
# For what follows when GRACEFUL_TIMEOUT is over: cancelled requests end, and so does the process.
SHUTDOWN_MARGIN = 2
TICKS_PER_SECOND = 10


class NotingLifespan(LifespanOn):
    """Keeps what an application says when it does not start, to be reported once."""

    failure: str | None = None

    async def send(self, message: Any) -> None:
        """Keep the failure, and let uvicorn log nothing of its own."""
        if message["type"] == "lifespan.startup.failed":
            self.failure = message.get("message") or "the application did not start"
            message = {"type": message["type"]}
        await super().send(message)


class ServerConfig(SharingConfig):
    """uvicorn's options from the settings.

    Args:
        config: reads `ACCESS_LOG`, `GRACEFUL_TIMEOUT`, the paths of the health routes and the limits.
        app: the ASGI application; it may be set later, before the server starts.
        http: what is made for each connection.
    """

    def __init__(self, config: Config, app: Any = None, http: type[HttpProtocol] = HttpProtocol) -> None:
        self._health_paths = health_paths(config) or operating_paths(config)
        self.connections = Connections(config)
        super().__init__(
            app,
            loop="uvloop",
            http=http,
            ws=WebSocketProtocol,
            ws_max_size=config.WEBSOCKET_MAX_MESSAGE_BYTES,
            lifespan="on",
            log_config=None,
            access_log=bool(config.ACCESS_LOG),
            server_header=False,
            timeout_graceful_shutdown=config.GRACEFUL_TIMEOUT,
            # Else uvicorn reads WEB_CONCURRENCY by itself; processes are not started here.
            workers=1,
        )

    def load(self) -> None:
        """Import what the options name, and see that the access log has neither health checks nor anything twice."""
        super().load()
        self.lifespan_class = NotingLifespan
        logging.getLogger(access.LOGGER).addFilter(access.WithoutHealthChecks(self._health_paths))
        if self.access_log:
            self.connections.access_log = access.AccessLog(self.app)  # type: ignore[arg-type]  # an `Api`
            logging.getLogger(access.OTHER_LOGGER).addFilter(access.without_refused_handshakes)


def stop_limit(config: Config) -> float:
    """Seconds for an orderly stop: requests end, components disconnect, the process exits."""
    return float(MAX_DRAIN + config.GRACEFUL_TIMEOUT + config.COMPONENT_DISCONNECT_TIMEOUT + SHUTDOWN_MARGIN)


class Server(uvicorn.Server):
    """A server that a signal stops in order in every phase of its life.

    Args:
        config: uvicorn's options.
        alone: no other process accepts from its sockets at the same time.
        has_successor: another process accepts from them after this one, unless they refuse connections by then.
        operating: what serves the operating routes, where they have a port of their own.
        when_serving: called when it serves.
        others_serve: whether another process serves, or has served, on its sockets.

    Attributes:
        min_drain: seconds that requests which are on their way have to arrive when the server stops, at least. Where a
            client has just connected, it is `MIN_DRAIN` in any case.
        max_drain: the same at most, where clients keep connections open.
    """

    config: ServerConfig

    def __init__(
        self,
        config: ServerConfig,
        *,
        alone: bool,
        has_successor: bool = False,
        operating: OperatingServer | None = None,
        when_serving: Callable[[], None] = lambda: None,
        others_serve: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(config)
        self.min_drain, self.max_drain = MIN_DRAIN, MAX_DRAIN
        self._when_serving = when_serving
        self._others_serve = others_serve
        self._operating = operating
        self._alone = alone
        self._has_successor = has_successor
        self._is_interrupted = False
        self._serving: asyncio.Task[Any] | None = None
        self._blocked: BlockedStart | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal arrives.

        Raises:
            StartError: the application did not start; the message is the application's.
        """
        self._serving = asyncio.current_task()
        try:
            with self._blocked_start():
                await super().serve(sockets)
        except asyncio.CancelledError:
            # The signal came while the application was starting. What has started is stopped with the event
            # loop.
            if not self.should_exit:
                raise
        except SystemExit:
            failure = getattr(self.lifespan, "failure", None)
            if failure is None or self.should_exit:
                raise
            raise StartFailedError(failure) from None

    def _blocked_start(self) -> AbstractContextManager[None]:
        """Sees to it that the process ends where its start blocks; of several processes their parent does."""
        if not self._alone:
            return nullcontext()
        from opa.serve.blocked_start import BlockedStart

        self._blocked = BlockedStart()
        return self._blocked.watched()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and listen."""
        self.config.connections.open(self.server_state.connections)
        going_on_in(self.config.app.manager).count_in_server(self.requests)  # type: ignore[union-attr]  # an `Api`
        async with answering_meanwhile(
            self.config.app,  # type: ignore[arg-type]  # an `Api`
            sockets or [],
            self._operating,
            others_serve=self._others_serve,
        ):
            await super().startup(sockets)
        self._listeners = Listeners(sockets or [], self._listen)
        if self._operating is not None:
            await self._operating.start()
        if self.started:
            if self._blocked is not None:
                self._blocked.end()
            self._when_serving()

    def requests(self) -> int:
        """How many requests are being answered, without websockets."""
        return len(self.server_state.tasks) - self.config.connections.websocket_tasks

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections once a second; uvicorn calls it ten times as often."""
        if counter % TICKS_PER_SECOND == 0:
            self.config.connections.sweep(asyncio.get_running_loop().time())
            await self._listeners.revive()
        should_exit = await super().on_tick(counter)
        if self._operating is not None and counter % TICKS_PER_SECOND == 0:
            await self._operating.look_after(self.server_state.default_headers)
        return should_exit

    async def _listen(self, listener: socket.socket) -> None:
        def protocol() -> HttpProtocol:
            return HttpProtocol(self.config, self.server_state, self.lifespan.state)

        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(protocol, sock=listener, backlog=self.config.backlog))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is on its way, then stop as uvicorn does: wait for requests, end the application.

        The operating routes are answered until all of that has been done, unless other processes take over.
        """
        if self._is_replaced(sockets or []):
            self._leave_connections()
        elif self._alone:
            for listener in sockets or ():
                refuse_connections(listener)
        if self._operating is not None:
            if self._alone or all(map(refuses_connections, sockets or ())):
                self._operating.drain()
            else:  # only this process stops, as after a SIGHUP: whoever asks shall hear of those that go on
                self._operating.close()
        current.is_stopping = True
        if not self.force_exit:
            await self._drain()
        self._listeners.close()
        await super().shutdown(sockets)
        for connection in self.server_state.connections:  # their answers are cut off, and their clients do not read
            if isinstance(connection, HttpProtocol):
                connection.end_line()
        if self._operating is not None:
            self._operating.close()

    def _is_replaced(self, sockets: list[socket.socket]) -> bool:
        """Whether another process answers who waits for a connection: not where all of it has been told to stop.

        A SIGINT comes from a terminal, and to the supervisor as well, which may not have got to it yet.
        """
        if not self._has_successor or self._is_interrupted:
            return False
        return not any(refuses_connections(listener, where_unknown=False) for listener in sockets)

    def _leave_connections(self) -> None:
        """Accept no more; one that is accepted now might be closed before its request has come."""
        self._listeners.close()
        for server in self.servers:
            server.close()

    async def _drain(self) -> None:
        """Go on for a moment: a request may be on its way on any open connection, and uvicorn would drop it.

        Each answer tells its client to close, so that clients that are busy leave within the moment.
        """
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        clock = asyncio.get_running_loop().time
        begin, end = clock(), clock() + self.max_drain
        await asyncio.sleep(self.min_drain)
        # There is no event for these two: uvicorn's protocols share a plain set.
        while self.config.connections.has_just_come() and clock() < begin + MIN_DRAIN and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(NEWCOMER_INTERVAL)
        while state.connections and clock() < end and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving; a second SIGINT does not wait for requests.

        uvicorn would raise the signal again when all is done, and an orderly stop would look like a kill.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        self._is_interrupted = self._is_interrupted or sig == signal.SIGINT
        if not self.started and self._serving is not None:
            if self._blocked is not None:
                self._blocked.told.set()
            self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)


class StartFailedError(StartError):
    """The application said why it cannot start; its message is complete, and may have several lines."""

    def __str__(self) -> str:
        return self.problem.strip()

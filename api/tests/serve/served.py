"""An application behind the api's own protocols, on a loopback port, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from uvicorn.server import ServerState

from opa.serve.protocol import HttpProtocol
from opa.serve.server import ServerConfig
from opa.settings.load import Config
from tests.serve.raw import get

WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


class Served:
    """What is served.

    Attributes:
        connections: those of the process.
        address: host and port.
    """

    def __init__(self, config: ServerConfig, state: ServerState, port: int) -> None:
        self.connections = config.connections
        self._state = state
        self.address = ("127.0.0.1", port)
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, which is closed in the end where the test does not."""
        reader, writer = await asyncio.open_connection(*self.address)
        self._writers.append(writer)
        return reader, writer

    async def websocket(self, path: str = "/") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which the handshake is over."""
        reader, writer = await self.connect()
        writer.write(get(path, *WEBSOCKET))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        return reader, writer

    async def status(self, path: str = "/") -> int:
        """What a request is answered with, on a connection of its own."""
        reader, writer = await self.connect()
        writer.write(get(path))
        first = await reader.readline()
        writer.close()
        return int(first.split()[1])

    def sweep(self, *, later: float = 0) -> None:
        """Look at all connections, as the server does once a second."""
        self.connections.sweep(asyncio.get_running_loop().time() + later)

    async def leave(self) -> None:
        """Close all connections, and end what has not ended then."""
        for writer in self._writers:
            writer.transport.abort()
        await until(lambda: not self.open())
        for task in self._state.tasks:
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)

    def tasks(self) -> int:
        """How many requests and websockets are worked on."""
        return len(self._state.tasks)

    def protocols(self) -> list[Any]:
        """What speaks on each connection."""
        return list(self._state.connections)

    def open(self) -> int:
        """How many connections there are."""
        return len(self._state.connections)


@contextlib.asynccontextmanager
async def served(config: Config, app: Any) -> AsyncIterator[Served]:
    """Serve an ASGI application."""
    options = ServerConfig(config, app)
    options.load()
    state = ServerState()
    options.connections.open(state.connections)
    server = await asyncio.get_running_loop().create_server(lambda: HttpProtocol(options, state, {}), "127.0.0.1", 0)
    found = Served(options, state, server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        await found.leave()


async def until(condition: Callable[[], Any], *, seconds: float = 30) -> None:
    """Wait until `condition` is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.01)


async def most_between_two_turns(work: Callable[[], int], until_done: Iterable[asyncio.Task[Any]]) -> int:
    """How much of a work is done at most before all the others get on.

    Args:
        work: how much is done.
        until_done: what ends it.
    """
    most, before = 0, work()
    tasks = list(until_done)
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        most, before = max(most, work() - before), work()
    await asyncio.gather(*tasks)
    return most

"""A client that reads slowly is told from one that does not read."""

from __future__ import annotations

import asyncio
import itertools
import socket
from array import array
from collections.abc import Iterator
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

import pytest
import uvloop

from opa.settings.load import Config
from tests.project import Project
from tests.serve.raw import get
from tests.serve.served import WEBSOCKET, Served, served, until

WHOLE = b"x" * 16_000_000
"""More than the kernel takes."""
IDLE = 75
"""Seconds; the default of IDLE_TIMEOUT."""


async def send_all(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than is read."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": WHOLE})
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": WHOLE})


@pytest.fixture
def config(project: Project) -> Config:
    return project.config()


async def connect(server: Served, path: str, *headers: str) -> tuple[socket.socket, Any]:
    """A client with a small buffer, and the server's end of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, server.address)
    await asyncio.get_running_loop().sock_sendall(client, get(path, *headers))
    await until(lambda: server.protocols() and server.protocols()[0].transport.get_write_buffer_size())
    return client, server.protocols()[0].transport


def in_kernel(transport: Any) -> int:
    """Bytes that the server's kernel has, and the client's has not."""
    found = array("i", [0])
    ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, found)
    return found[0]


async def read(client: socket.socket, transport: Any) -> None:
    """Read some of the answer: too little for the kernel to take more of it."""
    before = in_kernel(transport)
    while in_kernel(transport) >= before:
        await asyncio.get_running_loop().sock_recv(client, 65_536)
        await asyncio.sleep(0.001)


def sweep(server: Served, clock: Iterator[int], seconds: int) -> None:
    """Look after the connections once a second, as if that time went by."""
    for later in itertools.islice(clock, seconds):
        server.sweep(later=later)


@pytest.mark.parametrize("headers", [(), WEBSOCKET], ids=["answer", "websocket"])
def test_a_client_that_reads_slowly_is_served_until_it_reads_no_more(config: Config, headers: tuple[str, ...]) -> None:
    async def attempt() -> None:
        async with served(config, send_all) as server:
            client, transport = await connect(server, "/", *headers)
            clock = itertools.count()
            in_transport = transport.get_write_buffer_size()
            for _ in range(5):
                sweep(server, clock, IDLE - 5)
                await read(client, transport)
                assert transport.get_write_buffer_size() == in_transport
            sweep(server, clock, IDLE - 5)
            assert not transport.is_closing()
            sweep(server, clock, 10)
            assert transport.is_closing()
            client.close()

    uvloop.run(attempt())

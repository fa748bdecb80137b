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

from opa.serve import progress
from opa.serve.unread import read_steps
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


@pytest.mark.parametrize(("bytes_per_second", "is_kept"), [(50, False), (400, True)])
def test_a_client_that_reads_a_few_bytes_now_and_then_does_not_hold_its_answer(
    config: Config, monkeypatch: pytest.MonkeyPatch, bytes_per_second: int, is_kept: bool
) -> None:
    async def attempt() -> None:
        async with served(config, send_all) as server:
            client, transport = await connect(server, "/")
            clock = itertools.count()
            for second in range(5 * IDLE):
                read = second * bytes_per_second
                monkeypatch.setattr(progress, "unread_bytes", lambda _, read=read: len(WHOLE) - read)
                monkeypatch.setattr(progress, "read_steps", lambda _, step, __, read=read: read // step)
                sweep(server, clock, 1)
            was_closed = transport.is_closing()
            client.close()
            assert was_closed is not is_kept

    uvloop.run(attempt())


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_bytes_that_a_client_has_read_are_counted_on_tcp(family: str) -> None:
    async def attempt() -> None:
        ends = socket.socketpair() if family == "unix" else connected()
        writer: Any
        _, writer = await asyncio.open_connection(sock=ends[0])
        counted = read_steps(writer.transport, 1000, 5)
        writer.write(b"x" * 100_000)
        await asyncio.to_thread(read_all, ends[1], 100_000)
        await until(lambda: read_steps(writer.transport, 1000, 5) >= counted + (100 if family == "tcp" else 0))
        assert family == "tcp" or counted == -5
        writer.close()
        ends[1].close()

    asyncio.run(attempt())


def connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        return client, server.accept()[0]


def read_all(end: socket.socket, size: int) -> None:
    while size:
        size -= len(end.recv(size))

"""Head and body of an answer leave in one write, and no head waits for long."""

from __future__ import annotations

import asyncio
import functools
import logging
import operator
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from opa.serve.answer import JOINED, AnswerTransport, Heads

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


class _Connection(asyncio.Transport):
    """Keeps what was written, each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def resume_reading(self) -> None:
        """There is nothing to read."""


class _Request:
    """One on `connection`, as uvicorn has it."""

    def __init__(self, connection: _Connection, answers: AnswerTransport, method: str, *, waits: bool) -> None:
        scope: Any = {"type": "http", "method": method, "path": "/", "http_version": "1.1", "headers": []}
        log = logging.getLogger("uvicorn.error")
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=answers,  # type: ignore[arg-type]
            flow=FlowControl(connection),
            logger=log,
            access_logger=log,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=waits,
            keep_alive=True,
            on_response=answers.let_go,
        )
        answers.cycle = self.cycle

    async def start(self, length: int) -> None:
        headers = [(b"content-length", str(length).encode())]
        await self.cycle.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def body(self, body: Any, *, more: bool = False) -> None:
        await self.cycle.send({"type": "http.response.body", "body": body, "more_body": more})


def _in_event_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class _Client:
    def __init__(self) -> None:
        self.connection = _Connection()
        self.answers = AnswerTransport(self.connection, Heads(), asyncio.get_running_loop())

    def request(self, method: str = "GET", *, waits: bool = False) -> _Request:
        return _Request(self.connection, self.answers, method, waits=waits)


@pytest.mark.parametrize("body", [b"hello", bytearray(b"hello"), memoryview(b"hello")])
@_in_event_loop
async def test_head_and_body_are_one_write(body: Any) -> None:
    client = _Client()
    for _ in range(2):  # the second answer of a connection as well
        request = client.request()
        await request.start(5)
        await request.body(body)
    await asyncio.sleep(0)
    assert client.connection.written == [HEAD % 5 + b"hello"] * 2


@_in_event_loop
async def test_the_head_of_a_stream_does_not_wait_for_its_first_part() -> None:
    client = _Client()
    request = client.request()
    await request.start(5)
    await _comes(lambda: client.connection.written == [HEAD % 5])
    await request.body(b"he", more=True)
    await request.body(b"llo")
    assert client.connection.written == [HEAD % 5, b"he", b"llo"]


@_in_event_loop
async def test_heads_that_begin_together_all_go() -> None:
    heads, loop = Heads(), asyncio.get_running_loop()
    for _ in range(2):
        connections = [_Connection() for _ in range(3)]
        for connection in connections:
            await _Request(connection, AnswerTransport(connection, heads, loop), "GET", waits=False).start(5)
            await asyncio.sleep(0)
        for connection in connections:
            await _comes(functools.partial(operator.eq, connection.written, [HEAD % 5]))


@_in_event_loop
async def test_a_head_whose_body_has_come_is_not_written_again() -> None:
    heads, loop = Heads(), asyncio.get_running_loop()
    connection, other = _Connection(), _Connection()
    request = _Request(connection, AnswerTransport(connection, heads, loop), "GET", waits=False)
    await request.start(5)
    await request.body(b"hello")
    await _Request(other, AnswerTransport(other, heads, loop), "GET", waits=False).start(5)
    await _comes(lambda: other.written == [HEAD % 5])
    assert connection.written == [HEAD % 5 + b"hello"]


@_in_event_loop
async def test_an_answer_without_a_body_is_written_at_its_end() -> None:
    client = _Client()
    request = client.request("HEAD")
    await request.start(5)
    await request.body(b"hello")
    assert client.connection.written == [HEAD % 5]
    request = client.request()
    await request.start(0)
    await request.body(b"")
    assert client.connection.written == [HEAD % 5, HEAD % 0]


@_in_event_loop
async def test_a_large_body_is_not_copied() -> None:
    client = _Client()
    request = client.request()
    await request.start(JOINED + 1)
    await request.body(bytes(JOINED + 1))
    assert client.connection.written == [HEAD % (JOINED + 1), bytes(JOINED + 1)]


@_in_event_loop
async def test_continue_is_written_at_once() -> None:
    client = _Client()
    request = client.request("POST", waits=True)
    request.cycle.message_event.set()
    await request.cycle.receive()
    assert client.connection.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    await request.start(2)
    await request.body(b"ok")
    assert client.connection.written[1:] == [HEAD % 2 + b"ok"]


@_in_event_loop
async def test_an_answer_that_breaks_off_has_its_head() -> None:
    client = _Client()
    request = client.request()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await request.start(5)

    await request.cycle.run_asgi(app)
    assert client.connection.written == [HEAD % 5]
    assert client.connection.is_closed


@_in_event_loop
async def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    client = _Client()
    request = client.request()
    await request.start(5)
    client.connection.close()
    await _comes(lambda: client.answers.head is None)
    assert client.connection.written == []


async def _comes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)

"""Clients that send much data, which takes long, are served in turn with all the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from opa.serve import turns
from opa.serve.protocol import HttpProtocol
from tests.project import Project
from tests.serve.raw import get
from tests.serve.served import most_between_two_turns, served

CLIENTS, CHUNKS = 3, 20_000


async def length(_scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d bytes" % size})


def test_other_requests_are_served_while_bodies_arrive_in_chunks_of_a_byte(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled = 0

    def count(protocol: HttpProtocol, body: bytes) -> None:
        nonlocal handled
        handled += 1
        on_body(protocol, body)

    on_body = HttpProtocol.on_body
    monkeypatch.setattr(HttpProtocol, "on_body", count)
    monkeypatch.setattr(turns, "TIME_SLICE", 0.0)  # one part a turn, however many a fast machine takes in that time

    async def send() -> int:
        async with served(project.config(), length) as server:
            clients = [await server.connect() for _ in range(CLIENTS)]
            answers = [asyncio.create_task(reader.readuntil(b"20000 bytes")) for reader, _ in clients]
            for _, writer in clients:
                writer.write(get("/", "Transfer-Encoding: chunked", method="POST") + b"1\r\na\r\n" * CHUNKS)
                writer.write(b"0\r\n\r\n")
            return await most_between_two_turns(lambda: handled, answers)

    assert uvloop.run(send()) < 6_000
    assert handled == CLIENTS * CHUNKS


def test_a_large_body_and_the_requests_behind_it_are_taken_in_whole_and_in_order(project: Project) -> None:
    async def send() -> bytes:
        async with served(project.config(), length) as server:
            reader, writer = await server.connect()
            for size in (1_000_000, 5, 70_000, 0):
                writer.write(get("/", f"Content-Length: {size}", method="POST") + b"x" * size)
            writer.write(get("/", "Connection: close"))
            return await reader.read()

    answers = uvloop.run(send()).split(b" bytes")
    assert [answer.rsplit(b"\n", 1)[-1] for answer in answers[:-1]] == [b"1000000", b"5", b"70000", b"0", b"0"]

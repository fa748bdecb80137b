"""Websockets take what they get in turn, and leave requests alone."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from tests.project import Project
from tests.serve.raw import get
from tests.serve.served import WEBSOCKET, served, until


class Application:
    """Answers requests, and has websockets that wait for what never happens."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope["path"], receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/events":
            await send({"type": "http.response.body", "body": b"data", "more_body": True})
            await receive()
            self.heard.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"the end"})

    async def _websocket(self, path: str, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if path == "/waits":
            await asyncio.Event().wait()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.heard.append(str(message["code"]))
                return
            if path == "/echo":
                await send({"type": "websocket.send", "text": message["text"]})


def test_a_handshake_behind_a_request_that_is_not_answered_is_no_end_to_its_limits(project: Project) -> None:
    async def ask(together: bool) -> None:
        app = Application()
        async with served(project.config(), app) as server:
            reader, writer = await server.connect()
            writer.write(get("/events"))
            if not together:
                await reader.readuntil(b"data")
            writer.write(get("/", *WEBSOCKET))
            if together:
                await reader.readuntil(b"data")
            assert server.connections.websocket_tasks == 0
            writer.close()  # the request hears of it all the same
            await until(lambda: app.heard)
            await until(lambda: not server.tasks())
            assert app.heard == ["http.disconnect"]

    for together in (True, False):
        uvloop.run(ask(together))


def test_a_handshake_behind_requests_is_answered_behind_them(project: Project) -> None:
    async def ask() -> bytes:
        async with served(project.config(), Application()) as server:
            reader, writer = await server.connect()
            writer.write(get("/") + get("/") + get("/", *WEBSOCKET))
            return await reader.read()

    answers = uvloop.run(ask())
    assert answers.count(b"HTTP/1.1 200") == 2
    assert answers.index(b"HTTP/1.1 400") > answers.rindex(b"the end")
    assert answers.endswith(b'{"detail": "a websocket cannot begin before the requests in front of it are answered"}')


def test_a_handshake_after_an_answer_is_one_like_any_other(project: Project) -> None:
    async def ask() -> None:
        async with served(project.config(), Application()) as server:
            reader, writer = await server.connect()
            writer.write(get("/"))
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(get("/", *WEBSOCKET))
            assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"

    uvloop.run(ask())


def test_websockets_whose_clients_are_gone_take_no_place_of_a_request(project: Project) -> None:
    project.settings(MAX_REQUESTS=3)

    async def ask() -> None:
        async with served(project.config(), Application()) as server:
            clients = [await server.websocket("/waits") for _ in range(5)]
            assert await server.status() == 200
            for _, writer in clients:
                writer.close()
            await until(lambda: not server.open())
            assert await server.status() == 200
            assert server.tasks() == 5

    uvloop.run(ask())

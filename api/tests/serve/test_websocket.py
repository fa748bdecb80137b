"""Websockets take what they get in turn, and leave requests alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import uvloop

from opa.serve.websocket import MAX_UNREAD_PONG_BYTES, WebSocketProtocol
from tests.project import Project
from tests.serve.raw import get
from tests.serve.served import WEBSOCKET, most_between_two_turns, served, until

LARGE = 20_000_000
"""Bytes of a message that no buffer of a socket takes in."""


class Application:
    """Answers requests, and has websockets that wait for what never happens."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.messages = 0
        self.event = asyncio.Event()

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
        if path == "/late":
            await self.event.wait()
        if path == "/refused":
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"who", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b" are you?"})
            return
        await send({"type": "websocket.accept"})
        if path == "/large":
            await send({"type": "websocket.send", "bytes": bytes(LARGE)})
        if path in ("/waits", "/closes"):
            await self.event.wait()
        if path == "/closes":
            await send({"type": "websocket.close", "code": 1000})
            return
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.heard.append(str(message["code"]))
                return
            self.messages += 1
            if path in ("/echo", "/late"):
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


def test_a_handshake_that_the_application_refuses_is_no_error_in_the_log(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> bytes:
        async with served(project.config(), Application()) as server:
            reader, writer = await server.connect()
            writer.write(get("/refused", *WEBSOCKET))
            answer = await reader.read()
            await until(lambda: not server.tasks())
            return answer

    answer = uvloop.run(ask())
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"\r\n\r\nwho are you?")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


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


PING, PONG, EMPTY_PART = b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
EMPTY_TEXT, FIRST_PART, LAST_PART = b"\x81\x80\0\0\0\0", b"\x01\x80\0\0\0\0", b"\x80\x80\0\0\0\0"
LAST_PING = b"\x89\x84\0\0\0\0last"
LARGE_PING = b"\x89\xfd\0\0\0\0" + b"x" * 125
ONE_BYTE_PART = b"\x00\x81\0\0\0\0a"


CLIENTS, FRAMES = 3, 10_000


@pytest.mark.parametrize(
    ("frames", "answer"),
    [
        (FIRST_PART + ONE_BYTE_PART * FRAMES + LAST_PART, FRAMES + 4),
        (EMPTY_TEXT * FRAMES, 2 * FRAMES),
    ],
    ids=["parts", "messages"],
)
def test_other_requests_are_served_while_websockets_get_tiny_frames(
    project: Project, monkeypatch: pytest.MonkeyPatch, frames: bytes, answer: int
) -> None:
    app = Application()
    handled = 0

    def count(protocol: WebSocketProtocol, event: Any) -> None:
        nonlocal handled
        handled += 1
        handle_part(protocol, event)

    handle_part = WebSocketProtocol.handle_cont
    monkeypatch.setattr(WebSocketProtocol, "handle_cont", count)

    async def send() -> int:
        async with served(project.config(), app) as server:
            clients = [await server.websocket("/echo") for _ in range(CLIENTS)]
            answers = [asyncio.create_task(reader.readexactly(answer)) for reader, _ in clients]
            for _, writer in clients:
                writer.write(frames)
            return await most_between_two_turns(lambda: handled + app.messages, answers)

    assert uvloop.run(send()) < 4000
    assert handled + app.messages >= CLIENTS * FRAMES


@pytest.mark.parametrize("frame", [PING, PONG, EMPTY_PART], ids=["pings", "pongs", "parts"])
def test_a_websocket_that_gets_nothing_but_empty_frames_is_closed(project: Project, frame: bytes) -> None:
    async def send() -> bytes:
        app = Application()
        async with served(project.config(), app) as server:
            reader, writer = await server.websocket()
            writer.write(FIRST_PART)
            for _ in range(3):  # in each second as many as there may be
                writer.write(frame * 999 + LAST_PING)
                await reader.readuntil(b"\x8a\x04last")
                server.sweep()
            writer.write(frame * 1001)
            read = await reader.read()
            await until(lambda: app.heard)
            assert app.heard == ["1008"]
            return read

    assert b"\x03\xf0too many empty frames" in uvloop.run(send())


@pytest.mark.parametrize(
    "frames", [b"\x81\x81\0\0\0\0\xff", FIRST_PART + b"\x80\x81\0\0\0\0\xff"], ids=["whole", "parts"]
)
def test_a_text_that_is_not_utf_8_closes_the_websocket_and_is_no_error(
    project: Project, caplog: pytest.LogCaptureFixture, frames: bytes
) -> None:
    app = Application()

    async def ask() -> bytes:
        async with served(project.config(), app) as server:
            reader, writer = await server.websocket("/echo")
            writer.write(frames)
            return await reader.read(4)

    answer = uvloop.run(ask())
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4]) == 1007
    assert app.messages == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_frame_before_a_websocket_is_accepted_waits_for_it(project: Project) -> None:
    async def send() -> None:
        app = Application()
        async with served(project.config(), app) as server:
            reader, writer = await server.connect()
            writer.write(get("/late", *WEBSOCKET))
            await until(server.tasks)
            writer.write(b"\x81\x81\0\0\0\0a")
            app.event.set()
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(3) == b"\x81\x01a"

    uvloop.run(send())


def test_messages_that_a_route_has_not_received_do_not_delay_the_end_of_its_websocket(project: Project) -> None:
    project.settings(WEBSOCKET_MAX_QUEUE=1)

    async def send() -> bytes:
        app = Application()
        async with served(project.config(), app) as server:
            reader, writer = await server.websocket("/closes")
            writer.write(EMPTY_TEXT * 2000 + b"\x88\x82\0\0\0\0\x03\xe8")
            app.event.set()
            return await reader.read()

    assert uvloop.run(send()) == b"\x88\x02\x03\xe8"


def test_a_client_that_pings_now_and_then_and_reads_nothing_is_left(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa.serve.websocket.MAX_UNREAD_PONG_BYTES", 200_000)
    handled = 0

    def count(protocol: WebSocketProtocol) -> None:
        nonlocal handled
        handled += 1
        handle_ping(protocol)

    handle_ping = WebSocketProtocol.handle_ping
    monkeypatch.setattr(WebSocketProtocol, "handle_ping", count)

    async def send() -> None:
        app = Application()
        async with served(project.config(), app) as server:
            _, writer = await server.websocket()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            sent = 0
            while not app.heard:
                writer.write(LARGE_PING * 900)
                sent += 900
                await until(lambda sent=sent: handled == sent or not server.open())  # type: ignore[misc]
                server.sweep()
                await asyncio.sleep(0)

    uvloop.run(send())


def test_a_ping_while_a_large_message_is_under_way_is_answered_behind_it(project: Project) -> None:
    async def ask() -> int:
        async with served(project.config(), Application()) as server:
            reader, writer = await server.websocket("/large")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: server.protocols()[0].transport.get_write_buffer_size() > 2 * MAX_UNREAD_PONG_BYTES)
            writer.write(LAST_PING)
            await asyncio.sleep(0)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            size = 0
            async with asyncio.timeout(60):
                while not (part := await reader.read(1_000_000)).endswith(b"\x8a\x04last"):
                    assert part
                    size += len(part)
            return size

    assert uvloop.run(ask()) > LARGE - 1_000_000


def test_a_connection_that_is_closing_keeps_the_server_from_nothing_when_it_stops(project: Project) -> None:
    async def stop() -> None:
        async with served(project.config(), Application()) as server:
            _, writer = await server.websocket("/large")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(server.protocols()[0].transport.get_write_buffer_size)
            writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
            await until(server.protocols()[0].transport.is_closing)
            server.protocols()[0].shutdown()

    uvloop.run(stop())


@pytest.mark.parametrize("path", ["/waits", "/large"], ids=["messages wait here", "the client reads slowly"])
def test_a_client_whose_answer_to_a_ping_cannot_have_come_is_not_closed(project: Project, path: str) -> None:
    async def wait() -> None:
        async with served(project.config(), Application()) as server:
            _, writer = await server.websocket(path)
            protocol = server.protocols()[0]
            if path == "/large":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await until(protocol.transport.get_write_buffer_size)
            else:
                writer.write(EMPTY_TEXT * 3)
                await until(lambda: protocol.read_paused)
            protocol.keepalive_timeout()
            assert not protocol.transport.is_closing()
            assert protocol.ping_timer is not None

    uvloop.run(wait())


def test_a_client_that_answers_no_ping_is_closed(project: Project) -> None:
    async def wait() -> None:
        async with served(project.config(), Application()) as server:
            await server.websocket("/echo")
            protocol = server.protocols()[0]
            protocol.keepalive_timeout()
            assert protocol.transport.is_closing()

    uvloop.run(wait())


def test_an_endpoint_that_raises_for_whatever_it_is_asked_costs_no_other_connection(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_after: list[object] = []

    def look_after(protocol: WebSocketProtocol, now: float) -> None:
        looked_after.append(protocol)
        raise RuntimeError("working outside of a request")

    monkeypatch.setattr(WebSocketProtocol, "look_after", look_after)

    async def sweep() -> None:
        async with served(project.config(), Application()) as server:
            for _ in range(2):
                await server.websocket("/waits")
            server.sweep()

    uvloop.run(sweep())
    assert len(looked_after) == 2

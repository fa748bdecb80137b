"""Clients that go away: nothing is wrong then, and the log has no error."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.serve.process import Opa, opa_in, wait_until

PLUGIN = """
import asyncio
import contextlib

from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from opa import get_router, log

router = get_router()


class Base(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


middleware = [Middleware(Base)]


@router.post("/body")
async def body(request: Request):
    log.info("it is here")
    return len(await request.body())


async def read(request: Request):
    log.info("it is here")
    return await request.body()


@router.post("/dependency")
async def dependency(data: bytes = Depends(read)):
    return len(data)


@router.post("/form")
async def form(request: Request):
    log.info("it is here")
    return len(await request.form())


@router.post("/group")
async def group(request: Request):
    log.info("it is here")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request.body())


@router.post("/broken")
async def broken(request: Request):
    log.info("it is here")
    try:
        await request.body()
    except Exception as error:
        raise ValueError("a mistake of the plugin") from error


@router.websocket("/receives")
async def receives(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    try:
        await websocket.receive_text()
    finally:
        log.info("it is done")


@router.websocket("/sends")
async def sends(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    with contextlib.suppress(WebSocketDisconnect):
        await websocket.receive_text()
    log.info("it is done")
    while True:
        await websocket.send_text("more")


@router.websocket("/closes")
async def closes(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    try:
        with contextlib.suppress(WebSocketDisconnect):
            await websocket.receive_text()
    finally:
        log.info("it is done")
        await websocket.close()


@router.websocket("/receives-again")
async def receives_again(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    with contextlib.suppress(WebSocketDisconnect):
        await websocket.receive_text()
    log.info("it is done")
    await websocket.receive_text()


@router.websocket("/tasks")
async def tasks(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")

    async def reader():
        try:
            await websocket.receive_text()
        finally:
            log.info("it is done")

    async with asyncio.TaskGroup() as group:
        group.create_task(reader())
        group.create_task(asyncio.sleep(600))


@router.websocket("/never-accepts")
async def never_accepts(websocket: WebSocket):
    await websocket.receive()
    log.info("it is here")
    await websocket.receive()
    log.info("it is done")
    await websocket.accept()


@router.websocket("/broken")
async def broken_websocket(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    try:
        await websocket.receive_text()
    finally:
        log.info("it is done")
        raise ValueError("a mistake of the plugin")


@router.websocket("/file")
async def file(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("go")
    with contextlib.suppress(WebSocketDisconnect):
        await websocket.receive_text()
    log.info("it is done")
    open("/nowhere/to/be/found")
"""


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    """One server for all."""
    folder: Path = tmp_path_factory.mktemp("gone")
    with opa_in(folder) as opa:
        opa.plugin("gone.py", PLUGIN)
        opa.start(WEB_CONCURRENCY="1", OPA_LOG_FORMAT="json", OPA_LOGLEVEL="debug")
        opa.wait_until_ready()
        yield opa
        opa.stop()


class Watch:
    """The lines that come to the log from now on."""

    def __init__(self, opa: Opa) -> None:
        self._opa = opa
        self._start = len(opa.log)

    def has(self, text: str) -> bool:
        return any(text in line["message"] for line in self.lines())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._opa.log[self._start :].splitlines() if line.endswith("}")]

    def errors(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["level"] in ("WARNING", "ERROR", "CRITICAL")]


def leave_in_body(opa: Opa, path: str, watch: Watch) -> None:
    with socket.create_connection(("127.0.0.1", opa.port)) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: 100\r\n\r\na=1".encode()
        )
        wait_until(lambda: watch.has("it is here"), what="the request is there")


def leave_websocket(opa: Opa, path: str, *, at_once: bool = False) -> None:
    async def leave() -> None:
        async with connect(f"ws://127.0.0.1:{opa.port}{path}", proxy=None) as client:
            assert await client.recv() == "go"
            if at_once:
                client.transport.abort()

    asyncio.run(leave())


@pytest.mark.parametrize("path", ["/body", "/dependency", "/form", "/group"])
def test_a_client_that_goes_away_while_it_sends_is_no_error(opa: Opa, path: str) -> None:
    watch = Watch(opa)
    leave_in_body(opa, path, watch)
    wait_until(lambda: watch.has(f"the client is gone: POST {path}, plugin gone"), what="it is noticed")
    assert opa.get("/healthz") == {"status": "ok"}
    assert watch.errors() == []


@pytest.mark.parametrize("at_once", [False, True], ids=["closed", "cut off"])
@pytest.mark.parametrize("path", ["/receives", "/sends", "/closes", "/receives-again", "/tasks"])
def test_a_websocket_that_its_client_leaves_is_no_error(opa: Opa, path: str, at_once: bool) -> None:
    watch = Watch(opa)
    leave_websocket(opa, path, at_once=at_once)
    wait_until(lambda: watch.has("it is done"), what="the plugin has heard of it")
    if path != "/closes":
        wait_until(lambda: watch.has(f"the client is gone: WEBSOCKET {path}, plugin gone"), what="it is noticed")
    assert opa.get("/healthz") == {"status": "ok"}
    assert watch.errors() == []


def test_a_websocket_whose_client_leaves_before_it_is_accepted_is_no_error(opa: Opa) -> None:
    watch = Watch(opa)
    with socket.create_connection(("127.0.0.1", opa.port)) as client:
        client.sendall(
            b"GET /never-accepts HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        wait_until(lambda: watch.has("it is here"), what="the handshake is there")
    wait_until(lambda: watch.has("the client is gone: WEBSOCKET /never-accepts, plugin gone"), what="it is noticed")
    assert opa.get("/healthz") == {"status": "ok"}
    assert [line["message"] for line in watch.errors()] == []


@pytest.mark.parametrize("path", ["/broken", "/file"])
def test_a_mistake_of_the_plugin_in_the_same_place_is_an_error(opa: Opa, path: str) -> None:
    watch = Watch(opa)
    leave_websocket(opa, path)
    (line,) = wait_until(watch.errors, what="it is logged")
    assert line["message"] == f"Exception in ASGI application: WEBSOCKET {path}, plugin gone"


def test_a_mistake_of_the_plugin_about_a_body_that_ends_is_an_error(opa: Opa) -> None:
    watch = Watch(opa)
    leave_in_body(opa, "/broken", watch)
    (line,) = wait_until(watch.errors, what="it is logged")
    assert line["message"] == "Exception in ASGI application: POST /broken, plugin gone"


def test_a_client_hears_of_the_end_of_a_websocket(opa: Opa) -> None:
    async def hear() -> int:
        async with connect(f"ws://127.0.0.1:{opa.port}/receives-again", proxy=None) as client:
            await client.recv()
            await client.close()
            with pytest.raises(ConnectionClosed):
                await client.recv()
            return client.close_code or 0

    assert asyncio.run(hear()) == 1000

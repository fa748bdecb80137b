from __future__ import annotations

import contextlib
import json
import logging
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.core.manager import PluginManager
from opa.http import request_facts
from opa.http.request_facts import plugin_of
from opa.serve.access import LOGGER, AccessLog
from tests.http.access.badges import BADGES
from tests.project import Project
from tests.serve.process import Opa, opa_in, wait_until
from tests.serve.raw import Raw, get
from tests.serve.served import WEBSOCKET

ROUTES = """
import time
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from starlette.routing import Route
from starlette.responses import PlainTextResponse
from opa import Requires, get_router

async def plain(request):
    return PlainTextResponse("plain")

router = get_router(prefix="/shop", routes=[Route("/plain", plain)])

@router.get("/orders/{number}")
def order(number: int):
    return number

@router.get("/slow")
def slow():
    def parts():
        for _ in range(3):
            time.sleep(0.1)
            yield "x"
    return StreamingResponse(parts())

@router.get("/endless/{who}")
def endless(who):
    def parts():
        while True:
            time.sleep(0.05)
            yield "x" * 2_000_000
    return StreamingResponse(parts())

@router.websocket("/talk/{who}")
async def talk(websocket: WebSocket, who: str):
    if who == "broken":
        raise ValueError(who)
    if who == "accepted":
        await websocket.accept()
    await websocket.close()

@router.websocket("/closed", dependencies=[Requires("shop:talk")])
async def closed(websocket: WebSocket):
    await websocket.accept()

sub = FastAPI()
sub.get("/in/{x}")(lambda x: 1)
router.mount("/sub", sub)
"""


@pytest.fixture(scope="module")
def all_lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of the access log."""
    with opa_in(tmp_path_factory.mktemp("access")) as opa:
        ask(opa)
        with Raw(opa.port) as client:
            client.send(get("/shop/endless/unread"))
            wait_until(lambda: client.socket.recv(1))
            time.sleep(1)  # until nothing more goes out
            stopped = opa.stop()
        assert stopped == 0
        found = [json.loads(line) for line in opa.log.splitlines()]
    # And nothing is said twice.
    others = [line["message"] for line in found if line["logger"] == "uvicorn.error" and "WebSocket" in line["message"]]
    assert [message.partition(" - ")[2] for message in others] == ['"WebSocket /shop/talk/accepted" [accepted]']
    return [line for line in found if line["logger"] == "uvicorn.access"]


@pytest.fixture(scope="module")
def lines(all_lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the path that was asked for."""
    once = [line for line in all_lines if line["extra"]["path"] != "/shop/closed"]
    assert len({line["extra"]["path"] for line in once}) == len(once)
    return {line["extra"]["path"]: line for line in once}


@pytest.fixture(scope="module")
def handshakes(all_lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the lines of a websocket say that requires an actor."""
    return [line["extra"] for line in all_lines if line["extra"]["path"] == "/shop/closed"]


def ask(opa: Opa) -> None:
    opa.plugin("shop.py", ROUTES)
    opa.plugin("badges.py", BADGES)
    opa.start(
        WEB_CONCURRENCY="1",
        OPA_ACCESS_LOG="true",
        OPA_REQUEST_ID="true",
        OPA_LOG_FORMAT="json",
        OPA_GRACEFUL_TIMEOUT="1",
    )
    opa.wait_until_ready()
    for path in ("/shop/orders/7?full=yes", "/shop/orders/x", "/nowhere", "/sub/in/5", "/plain"):
        with contextlib.suppress(urllib.error.HTTPError, json.JSONDecodeError):
            opa.get(path)
    for path, *headers in (
        ("/shop/talk/broken",),
        ("/shop/talk/refused?with=it", "X-Request-ID: mine"),
        ("/shop/talk/accepted",),
        ("/shop/closed",),
        ("/shop/closed?again", "X-Badge: ben"),
    ):
        with Raw(opa.port) as client:
            client.send(get(path, *WEBSOCKET, *headers))
            client.answer()
    with Raw(opa.port) as client:
        client.send(get("/shop/slow", "X-Request-ID: mine", "Connection: close"))
        client.answer()
        assert client.is_closed()
    with Raw(opa.port) as client:
        client.send(get("/shop/endless/gone"))
        wait_until(lambda: client.socket.recv(65536))
    wait_until(lambda: "/shop/endless/gone" in opa.log, what="the line of a client that is gone")


def test_a_line_says_which_request_it_was_and_how_it_went(lines: dict[str, dict[str, Any]]) -> None:
    line = lines["/shop/orders/7"]
    extra = dict(line["extra"])
    assert 0 < extra.pop("duration") < 5
    assert len(extra.pop("request_id")) == 16
    assert extra == {
        "method": "GET",
        "path": "/shop/orders/7",
        "route": "/shop/orders/{number}",
        "plugin": "shop",
        "status": 200,
        "client": "127.0.0.1",
    }
    assert '"GET /shop/orders/7?full=yes HTTP/1.1" 200' in line["message"]


def test_a_request_that_is_refused_has_a_line_too(lines: dict[str, dict[str, Any]]) -> None:
    assert (lines["/shop/orders/x"]["extra"]["status"], lines["/nowhere"]["extra"]["status"]) == (422, 404)
    assert lines["/shop/orders/x"]["extra"]["route"] == "/shop/orders/{number}"
    assert "route" not in lines["/nowhere"]["extra"]


def test_routes_of_starlette_and_of_mounted_applications_are_named(lines: dict[str, dict[str, Any]]) -> None:
    for path, route in (("/plain", "/plain"), ("/sub/in/5", "/sub/in/{x}")):
        assert (lines[path]["extra"]["route"], lines[path]["extra"]["plugin"]) == (route, "shop")


def test_a_handshake_that_is_refused_has_a_line(lines: dict[str, dict[str, Any]]) -> None:
    line = lines["/shop/talk/refused"]
    extra = dict(line["extra"])
    assert 0 < extra.pop("duration") < 5
    assert extra == {
        "method": "WEBSOCKET",
        "path": "/shop/talk/refused",
        "route": "/shop/talk/{who}",
        "plugin": "shop",
        "status": 403,
        "client": "127.0.0.1",
        "request_id": "mine",
    }
    assert '"WEBSOCKET /shop/talk/refused?with=it HTTP/1.1" 403' in line["message"]
    assert lines["/shop/talk/broken"]["extra"]["status"] == 500
    assert "/shop/talk/accepted" not in lines


def test_a_handshake_of_who_may_not_has_a_line_with_who_it_was(handshakes: list[dict[str, Any]]) -> None:
    assert [(line.get("actor"), line["status"]) for line in handshakes] == [(None, 401), ("badge:ben", 403)]


def test_the_duration_is_that_of_the_whole_answer(lines: dict[str, dict[str, Any]]) -> None:
    assert lines["/shop/slow"]["extra"]["duration"] >= 0.3
    assert lines["/shop/slow"]["extra"]["request_id"] == "mine"


def test_a_client_that_has_gone_meanwhile_has_its_line(lines: dict[str, dict[str, Any]]) -> None:
    assert lines["/shop/endless/gone"]["extra"]["status"] == 200


def test_an_answer_that_the_stop_cuts_off_has_its_line_though_its_client_does_not_read(
    lines: dict[str, dict[str, Any]],
) -> None:
    assert lines["/shop/endless/unread"]["extra"]["status"] == 200


def test_text_says_nothing_twice(tmp_path: Path) -> None:
    with opa_in(tmp_path / "text") as opa:
        opa.hello()
        opa.start(WEB_CONCURRENCY="1", OPA_ACCESS_LOG="true")
        opa.wait_until_ready()
        opa.get("/hello")
        assert opa.stop() == 0
        (line,) = [line for line in opa.log.splitlines() if "GET /hello" in line]
        assert "route='/hello' plugin='hello' duration=" in line
        assert "status=" not in line


ARGUMENTS = ("10.0.0.1:5", "GET", "/x", "1.1", 200)
MOUNTED = """
from fastapi import FastAPI
from opa import get_router

sub = FastAPI()
sub.get("/in/{x}")(lambda x: 1)
router = get_router()
router.mount("/of/{tenant}", sub)
"""


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(LOGGER)
    level = found.level
    yield found
    found.setLevel(level)


def test_a_request_is_not_examined_if_its_line_is_not_logged(
    project: Project, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AccessLog(project.app())
    cycle: Any = SimpleNamespace(scope={}, access_log=True)
    logger.setLevel(logging.WARNING)
    log.begin(cycle)
    assert vars(cycle) == {"scope": {}, "access_log": False}
    monkeypatch.delattr(request_facts, "route_of")
    log.write(ARGUMENTS, {"path": "/x", "endpoint": print}, None, 0.1)


def test_a_route_below_a_mount_is_the_same_whatever_a_client_asks_for(
    project: Project, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("shop.py", MOUNTED)
    app = project.app()
    scopes: list[Any] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    client = TestClient(noting)
    assert [client.get(f"/of/{tenant}/in/5").status_code for tenant in "abc"] == [200] * 3

    looked: list[object] = []

    def find(endpoint: object, manager: PluginManager) -> str | None:
        looked.append(endpoint)
        return plugin_of(endpoint, manager)

    monkeypatch.setattr(request_facts, "plugin_of", find)
    routes: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: routes.append(vars(record)["route"])  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    log = AccessLog(app)
    for scope in scopes:
        log.write(ARGUMENTS, scope, None, 0.1)
    logger.removeHandler(handler)
    assert routes == ["/of/{tenant}/in/{x}"] * 3
    assert len(looked) == 1  # what is remembered does not grow with what clients send

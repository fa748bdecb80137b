"""Each request has an id, in its answer and in the lines of the log that are written for it."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa import get_request_id
from opa.logging.logger import setup_logging
from opa.logging.request_id import MAX_LENGTH, request_id_of
from tests import programs
from tests.project import Project

NEW = re.compile(r"[0-9a-f]{16}")

SHOP = """
    import logging

    import httpx2
    from fastapi import BackgroundTasks, Request, WebSocket
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse

    from opa import Hook, HookDefinition, call_hook, get_request_id, get_router, log

    router = get_router()


    class Discount(HookDefinition):
        name = "discount"


    class NoDiscount(Hook):
        name = "discount"

        def run(self):
            log.info("in a hook")


    class Says:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "http":
                log.info("in middleware")
            await self.app(scope, receive, send)


    middleware = [Middleware(Says)]


    @router.get("/async")
    async def in_loop(later: BackgroundTasks):
        log.info("in a route")
        logging.getLogger("library").info("in a library")
        call_hook("discount")
        later.add_task(log.info, "in the background")
        return get_request_id()


    @router.get("/thread")
    def in_thread():
        log.info("in a thread")
        call_hook("discount")
        return get_request_id()


    @router.get("/inside")
    async def inside(request: Request):
        transport = httpx2.ASGITransport(app=request.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://inner") as client:
            inner = await client.get("/async", headers={"X-Request-ID": "inner"})
        return [inner.json(), get_request_id()]


    @router.get("/own")
    async def own():
        return PlainTextResponse("own", headers={"x-request-id": "its-own"})


    STORED = PlainTextResponse("stored")


    @router.get("/stored")
    async def stored():
        return STORED


    @router.websocket("/ws")
    async def ws(websocket: WebSocket):
        await websocket.accept()
        log.info("in a websocket")
        await websocket.send_json(get_request_id())
        await websocket.close()


    @router.get("/fails")
    async def fails():
        raise ValueError("no")
"""

Ids = Callable[[], dict[str, str | None]]


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("shop.py", SHOP)
    project.settings(REQUEST_ID=True)
    return project


@pytest.fixture
def client(shop: Project) -> Iterator[TestClient]:
    with shop.client(raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ids(client: TestClient, capsys: pytest.CaptureFixture[str]) -> Iterator[Ids]:
    """The request ids in the lines that were logged since the last call, by message."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    settings: Any = {"LOGLEVEL": "info", "BETTER_EXCEPTIONS": False, "BETTER_EXCEPTIONS_MAX_LENGTH": 100}
    setup_logging(type("Settings", (), settings | {"LOG_FORMAT": "json"})())
    capsys.readouterr()

    def read() -> dict[str, str | None]:
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return {line["message"]: line.get("extra", {}).get("request_id") for line in lines}

    yield read
    logging.captureWarnings(False)
    setup_logging(type("Settings", (), settings | {"LOG_FORMAT": "text"})())
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_a_request_without_an_id_gets_a_new_one(client: TestClient) -> None:
    first, second = client.get("/async"), client.get("/async")
    assert NEW.fullmatch(first.headers["x-request-id"])
    assert first.json() == first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize(
    "given", ["a", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "Root=1-67:a@b/c+d._", "x" * MAX_LENGTH]
)
def test_the_id_that_a_request_brings_is_kept(client: TestClient, given: str) -> None:
    answer = client.get("/async", headers={"X-Request-ID": given})
    assert answer.json() == given == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "given", [b"", b"x" * (MAX_LENGTH + 1), b"a b", b"a\n", b"a\r\nb", b'a"b', b"a;b", b"\xe4", b"{a}", b"\x1b[1m"]
)
def test_an_id_with_which_a_client_could_do_harm_is_replaced(given: bytes) -> None:
    assert NEW.fullmatch(request_id_of(given).decode())


def test_lines_of_the_log_have_the_id_wherever_they_are_written(client: TestClient, ids: Ids) -> None:
    client.get("/async", headers={"X-Request-ID": "r1"})
    where = ["in middleware", "in a route", "in a library", "in a hook", "in the background"]
    assert {message: found for message, found in ids().items() if message in where} == dict.fromkeys(where, "r1")
    client.get("/thread", headers={"X-Request-ID": "r2"})
    where = ["in middleware", "in a thread", "in a hook"]
    assert {message: found for message, found in ids().items() if message in where} == dict.fromkeys(where, "r2")


def test_lines_outside_of_requests_have_none(client: TestClient, ids: Ids) -> None:
    client.get("/async")
    ids()
    logging.getLogger("library").info("between")
    assert ids() == {"between": None}
    assert get_request_id() is None


def test_a_request_inside_of_another_leaves_the_id_of_the_outer_one(client: TestClient) -> None:
    assert client.get("/inside", headers={"X-Request-ID": "outer"}).json() == ["inner", "outer"]


def test_a_websocket_has_an_id_too(client: TestClient, ids: Ids) -> None:
    with client.websocket_connect("/ws", headers={"X-Request-ID": "w1"}) as socket:
        assert socket.receive_json() == "w1"
        assert (b"x-request-id", b"w1") in (socket.extra_headers or [])
    assert ids()["in a websocket"] == "w1"


def test_an_answer_that_has_an_id_keeps_it(client: TestClient) -> None:
    assert client.get("/own").headers.get_list("x-request-id") == ["its-own"]


def test_an_answer_that_is_given_again_has_the_id_of_each_request(client: TestClient) -> None:
    for given in ("r1", "r2"):
        assert client.get("/stored", headers={"X-Request-ID": given}).headers.get_list("x-request-id") == [given]


def test_the_answer_to_an_error_that_nothing_caught_has_it_in_header_and_text(client: TestClient) -> None:
    answer = client.get("/fails", headers={"X-Request-ID": "r1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "r1")
    assert answer.text.splitlines() == ["Internal Server Error", "request id: r1"]


def test_the_answer_of_a_handler_of_ones_own_has_it_in_the_header_alone(shop: Project) -> None:
    shop.plugin(
        "ours.py",
        """
        from starlette.responses import PlainTextResponse

        async def failed(request, error):
            return PlainTextResponse("ours", status_code=500)

        exception_handlers = {Exception: failed}
        """,
    )
    with shop.client(raise_server_exceptions=False) as client:
        answer = client.get("/fails", headers={"X-Request-ID": "r1"})
    assert (answer.status_code, answer.text, answer.headers["x-request-id"]) == (500, "ours", "r1")


def test_there_are_no_request_ids_without_the_setting(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    with project.client(raise_server_exceptions=False) as client:
        answer = client.get("/async", headers={"X-Request-ID": "r1"})
        assert answer.json() is None
        assert "x-request-id" not in answer.headers
        assert client.get("/fails").text == "Internal Server Error"


def test_processes_that_were_forked_do_not_make_the_same_ids() -> None:
    program = """
import os
from opa.logging.request_id import request_id_of

request_id_of(None)  # there are some in store now
if child := os.fork():
    os.waitpid(child, 0)
print(request_id_of(None).decode(), flush=True)
"""
    done = programs.run([sys.executable, "-c", program], check=True)
    first, second = done.stdout.split()
    assert first != second


def test_new_ids_are_all_different() -> None:
    assert len({request_id_of(None) for _ in range(2000)}) == 2000

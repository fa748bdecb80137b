"""What is noted of a request that an exception has ended."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from opa.logging.failed_request import in_words, take_note
from opa.logging.logger import log
from opa.logging.standard import InterceptHandler
from tests.project import Project

SHOP = """
    from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
    from starlette.responses import StreamingResponse

    from opa import get_router
    from shared import fail

    router = get_router(prefix="/shop")
    inner = APIRouter(prefix="/inner")


    @router.get("/orders/{number}")
    async def order(number: int):
        raise ValueError(number)


    @router.post("/thread/{number}")
    def in_thread(number: int):
        raise ValueError(number)


    @inner.get("/{name}")
    async def inner_route(name: str):
        raise ValueError(name)


    @router.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(fail)


    @router.get("/stream")
    async def stream():
        async def parts():
            yield "begin"
            raise ValueError

        return StreamingResponse(parts())


    @router.websocket("/ws/{name}")
    async def ws(websocket: WebSocket, name: str):
        raise ValueError(name)


    async def plain(request):
        raise ValueError


    router.include_router(inner)
    router.add_route("/plain/{name}", plain)
    router.add_api_route("/shared/{name}", fail)
    mounted = FastAPI()
    mounted.add_api_route("/there/{name}", fail)
    router.mount("/mounted", mounted)
    router.mount("/of/{tenant}", mounted)
    mounted.mount("/deeper/{level}", deeper := FastAPI())
    deeper.add_api_route("/there", fail)
"""
SHARED = """
    async def fail():
        raise ValueError
"""
FAILS_OUTSIDE = """
    from starlette.middleware import Middleware


    class Fails:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "http":
                raise ValueError
            await self.app(scope, receive, send)


    middleware = [Middleware(Fails)]
"""


@pytest.fixture
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    project.plugin("shop.py", SHOP)
    project.plugin("shared.py", SHARED, folder="library")
    monkeypatch.syspath_prepend(str(project.folder / "library"))
    yield project
    sys.modules.pop("shared", None)


def noted(project: Project, path: str, *, method: str = "GET") -> dict[str, Any]:
    with project.client() as client:
        if method == "WEBSOCKET":
            with pytest.raises(ValueError) as caught, client.websocket_connect(path):
                pass
        else:
            with pytest.raises(ValueError) as caught:
                client.request(method, path)
    return take_note(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/shop/orders/7", "/shop/orders/{number}"),
        ("POST", "/shop/thread/7", "/shop/thread/{number}"),
        ("GET", "/shop/inner/me", "/shop/inner/{name}"),
        ("GET", "/plain/me", "/plain/{name}"),
        ("GET", "/shop/shared/me", "/shop/shared/{name}"),
        ("GET", "/shop/later", "/shop/later"),
        ("GET", "/shop/stream", "/shop/stream"),
        ("WEBSOCKET", "/shop/ws/me", "/shop/ws/{name}"),
    ],
)
def test_method_path_route_and_plugin_are_noted(shop: Project, method: str, path: str, route: str) -> None:
    note = noted(shop, path, method=method)
    assert note == {"method": method, "path": path, "route": route, "plugin": "shop"}


def test_a_route_of_a_mounted_application_is_noted_with_the_path_of_the_mount(shop: Project) -> None:
    note = noted(shop, "/mounted/there/me")
    assert (note["path"], note["route"]) == ("/mounted/there/me", "/mounted/there/{name}")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/of/acme/there/me", "/of/{tenant}/there/{name}"),
        ("/of/acme/deeper/3/there", "/of/{tenant}/deeper/{level}/there"),
        ("/mounted/deeper/3/there", "/mounted/deeper/{level}/there"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_mount_with_a_parameter_is_noted_as_it_is_declared(shop: Project, path: str, route: str, prefix: str) -> None:
    shop.settings(OPENAPI_PREFIX=prefix)
    assert noted(shop, prefix + path)["route"] == route


def test_the_path_under_which_a_proxy_serves_the_application_is_no_part_of_the_route(shop: Project) -> None:
    shop.settings(OPENAPI_PREFIX="/api")
    note = noted(shop, "/api/shop/orders/7")
    assert (note["path"], note["route"]) == ("/api/shop/orders/7", "/shop/orders/{number}")


def test_a_request_that_fails_in_front_of_the_routes_is_noted_without_a_route(project: Project) -> None:
    project.plugin("outside.py", FAILS_OUTSIDE)
    note = noted(project, "/nobody")
    assert note == {"method": "GET", "path": "/nobody"}


def test_the_query_is_not_noted(shop: Project) -> None:
    assert "secret" not in str(noted(shop, "/shop/orders/7?token=secret"))


def test_the_request_id_is_noted_where_there_are_some(shop: Project) -> None:
    shop.settings(REQUEST_ID=True)
    assert len(noted(shop, "/shop/orders/7")["request_id"]) == 16


def test_the_words_for_a_request_have_nothing_that_a_client_has_sent(shop: Project) -> None:
    assert in_words(noted(shop, "/shop/orders/7")) == "GET /shop/orders/{number}, plugin shop"


def test_a_handler_hears_of_an_error_also_when_the_answer_has_begun(shop: Project) -> None:
    shop.plugin(
        "ours.py",
        """
        from opa import state
        from starlette.responses import PlainTextResponse

        def failed(request, error):
            state["heard"] = repr(error)
            return PlainTextResponse("ours", status_code=500)

        exception_handlers = {500: failed}
        """,
    )
    from opa import state

    with shop.client(raise_server_exceptions=False) as client:
        answer = client.get("/shop/stream")
        assert (answer.status_code, answer.text, state.pop("heard")) == (200, "begin", "ValueError()")
        answer = client.get("/shop/orders/7")
        assert (answer.status_code, answer.text, state.pop("heard")) == (500, "ours", "ValueError(7)")


def test_a_line_of_the_servers_has_the_note_once(shop: Project) -> None:
    with shop.client() as client, pytest.raises(ValueError) as caught:
        client.get("/shop/orders/7")
    written: list[Any] = []
    sink = log.add(written.append, format="{message}")
    try:
        for _ in range(2):
            record = logging.makeLogRecord({"name": "server", "msg": "failed\n", "levelname": "ERROR", "levelno": 40})
            record.exc_info = (ValueError, caught.value, None)
            InterceptHandler().emit(record)
    finally:
        log.remove(sink)
    first, second = (line.record for line in written)
    assert first["message"] == "failed: GET /shop/orders/{number}, plugin shop"
    assert first["extra"]["path"] == "/shop/orders/7"
    assert (second["message"], second["extra"]) == ("failed", {})

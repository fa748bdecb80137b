from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from opa.core.routes import add_routes


def number() -> int:
    return 1


def app_with(router: APIRouter) -> FastAPI:
    app = FastAPI()
    add_routes(app, router)
    return app


def hello_router() -> APIRouter:
    router = APIRouter(prefix="/greet", tags=["greetings"])

    @router.get("/hello")
    async def hello(value: Annotated[int, Depends(number)]) -> dict[str, int]:
        return {"value": value}

    return router


def test_a_route_stands_in_the_application_itself() -> None:
    assert "/greet/hello" in [route.path for route in app_with(hello_router()).routes if isinstance(route, APIRoute)]


def test_prefix_tags_and_schema_are_those_of_include_router() -> None:
    included = FastAPI()
    included.include_router(hello_router())
    assert app_with(hello_router()).openapi() == included.openapi()


def test_dependency_overrides_of_the_application_count() -> None:
    app = app_with(hello_router())
    app.dependency_overrides[number] = lambda: 2
    assert TestClient(app).get("/greet/hello").json() == {"value": 2}


def test_overrides_of_another_application_with_the_same_router_do_not_count() -> None:
    router = hello_router()
    app = app_with(router)
    app_with(router).dependency_overrides[number] = lambda: 2
    assert TestClient(app).get("/greet/hello").json() == {"value": 1}


def test_a_wrong_method_is_405_and_an_unknown_path_404() -> None:
    client = TestClient(app_with(hello_router()))
    assert client.post("/greet/hello").status_code == 405
    assert client.get("/greet/nobody").status_code == 404


def test_websockets_and_their_dependency_overrides_work() -> None:
    router = APIRouter(prefix="/ws")

    @router.websocket("/echo")
    async def echo(websocket: WebSocket, value: Annotated[int, Depends(number)]) -> None:
        await websocket.accept()
        await websocket.send_json(value)
        await websocket.close()

    app = app_with(router)
    app.dependency_overrides[number] = lambda: 3
    with TestClient(app).websocket_connect("/ws/echo") as websocket:
        assert websocket.receive_json() == 3


def test_mounts_and_plain_routes_work() -> None:
    router = APIRouter()
    router.add_route("/plain", lambda _: PlainTextResponse("plain"))
    router.mount("/mounted", PlainTextResponse("mounted"))
    client = TestClient(app_with(router))
    assert client.get("/plain").text == "plain"
    assert client.get("/mounted/x").text == "mounted"


def test_a_router_that_includes_another_works() -> None:
    outer = APIRouter(prefix="/outer")
    outer.include_router(hello_router())
    assert TestClient(app_with(outer)).get("/outer/greet/hello").json() == {"value": 1}


def test_a_frontend_of_a_router_is_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front")
    router = hello_router()
    router.frontend("/", directory=tmp_path)
    client = TestClient(app_with(router))
    assert client.get("/greet/index.html").text == "front"
    assert client.get("/greet/hello").json() == {"value": 1}


def test_the_lifespan_of_a_router_runs() -> None:
    ran = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ran.append("started")
        yield
        ran.append("stopped")

    with TestClient(app_with(APIRouter(lifespan=lifespan))):
        assert ran == ["started"]
    assert ran == ["started", "stopped"]


def test_a_route_class_of_the_routers_own_handles_its_requests() -> None:
    class Loud(APIRoute):
        def get_route_handler(self):  # type: ignore[no-untyped-def]
            handler = super().get_route_handler()

            async def loud(request):  # type: ignore[no-untyped-def]
                response = await handler(request)
                response.headers["x-loud"] = "yes"
                return response

            return loud

    router = APIRouter(route_class=Loud)
    router.add_api_route("/loud", number)
    assert TestClient(app_with(router)).get("/loud").headers["x-loud"] == "yes"


def test_an_empty_path_is_refused_as_by_include_router() -> None:
    router = APIRouter()
    router.add_api_route("", number)
    with pytest.raises(Exception, match="cannot be both empty"):
        app_with(router)

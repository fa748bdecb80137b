"""An answer 405 says which methods the path has, whichever of its routes have them."""

from __future__ import annotations

import pytest
from fastapi import WebSocket
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Match, Mount, Route
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Scope

from bench.asgi import scope_of
from opa.http.allowed_methods import with_all
from tests.project import Project

ORDERS = """
    from fastapi import APIRouter, HTTPException, Response
    from opa import get_router

    router = get_router(prefix="/orders")
    inner = APIRouter()

    @router.get("/{name}")
    def show(name: str):
        return name

    @router.put("/{name}")
    def change(name: str):
        return name

    @inner.delete("/{name}")
    def delete(name: str):
        return name

    @router.api_route("/{name}/parts", methods=["GET", "LINK"])
    def parts(name: str):
        return name

    @router.api_route("/{name}/more", methods=["GET"])
    def more(name: str):
        return name

    @router.api_route("/{name}/more", methods=["UNLINK"])
    def no_more(name: str):
        return name

    @router.post("/closed")
    def closed():
        raise HTTPException(405, "not today", {"Allow": "GET"})

    @router.patch("/silent")
    def silent():
        return Response(status_code=405)

    router.include_router(inner)
"""


@pytest.fixture(params=["indexed", "untested version of FastAPI"])
def orders(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    if request.param != "indexed":
        monkeypatch.setattr("fastapi.__version__", "999.0.0")
    project.plugin("orders.py", ORDERS)
    return project


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/orders/1", "DELETE, GET, PUT"),
        ("OPTIONS", "/orders/1", "DELETE, GET, PUT"),
        ("BREW", "/orders/1", "DELETE, GET, PUT"),
        ("POST", "/orders/1/parts", "GET, LINK"),
        ("BREW", "/orders/closed", "DELETE, GET, POST, PUT"),
    ],
)
def test_a_wrong_method_is_answered_with_those_of_all_routes_of_the_path(
    orders: Project, method: str, path: str, allowed: str
) -> None:
    with orders.client() as client:
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert client.request(allowed.split(", ")[0], path).status_code == 200


def test_methods_that_are_not_of_http_are_named_too(orders: Project) -> None:
    with orders.client() as client:
        assert client.post("/orders/1/more").headers["allow"] == "GET, UNLINK"


def test_the_allow_header_of_a_route_itself_stays(orders: Project) -> None:
    with orders.client() as client:
        assert client.post("/orders/closed").headers["allow"] == "GET"
        assert "allow" not in client.patch("/orders/silent").headers


def test_the_path_that_a_middleware_has_put_in_place_counts(project: Project) -> None:
    project.plugin(
        "moved.py",
        ORDERS
        + """
    from starlette.middleware import Middleware

    class Moved:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "http" and scope["path"].startswith("/old"):
                scope["path"] = scope["path"].removeprefix("/old")
            await self.app(scope, receive, send)

    middleware = [Middleware(Moved)]
    """,
    )
    with project.client() as client:
        assert client.post("/old/orders/1").headers["allow"] == "DELETE, GET, PUT"
        assert client.post("/old/orders/1/parts").headers["allow"] == "GET, LINK"


def test_the_allow_header_of_a_mounted_application_stays(project: Project) -> None:
    project.plugin("orders.py", ORDERS)
    app = project.app()
    mounted = Starlette(routes=[Route("/inner", lambda _request: Response())])
    app.mount("/outer", mounted)
    app.add_api_route("/inner", lambda: 1, methods=["POST"])
    with TestClient(app) as client:
        assert set(client.delete("/outer/inner").headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_proxy_that_serves_the_application_below_a_path_changes_nothing(orders: Project) -> None:
    with orders.client(root_path="/below") as client:
        assert client.post("/orders/1").headers["allow"] == "DELETE, GET, PUT"
        assert client.post("/below/orders/1").headers["allow"] == "DELETE, GET, PUT"


def test_a_websocket_may_be_refused_with_405(project: Project) -> None:
    async def refused(websocket: WebSocket) -> None:
        await websocket.send_denial_response(Response(status_code=405, headers={"Allow": "GET"}))

    app = project.app()
    app.add_api_websocket_route("/refused", refused)
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/refused"),
    ):
        pass
    assert denied.value.headers["allow"] == "GET"


class Counted(Route):
    """A route that counts how often it is asked."""

    asked = 0

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        self.asked += 1
        return super().matches(scope)


def test_routes_of_other_paths_are_asked_once() -> None:
    """There may be thousands, and anyone can send a wrong method."""
    others = [Counted(f"/other/{number}", Response) for number in range(20)]
    here = [Counted("/here", Response, methods=[method]) for method in ("PUT", "PATCH")]
    headers = [(b"allow", b"PUT")]
    answer = with_all(headers, scope_of("/here", "DELETE"), [*others, *here])
    assert answer == [(b"allow", b"PATCH, PUT")]
    assert {route.asked for route in others} == {1}


def test_a_single_route_is_asked_for_its_methods_once() -> None:
    route = Counted("/here", Response, methods=["PUT", "LINK"])
    headers = [(b"allow", b"PUT, LINK")]
    answer = with_all(headers, scope_of("/here", "DELETE"), [route])
    assert answer == [(b"allow", b"LINK, PUT")]
    assert route.asked == 1


def test_a_single_route_that_the_router_has_chosen_is_not_asked_again() -> None:
    route = Counted("/here", Response, methods=["PUT", "LINK"])
    headers = [(b"allow", b"PUT, LINK"), (b"a", b"b")]
    answer = with_all(headers, {**scope_of("/here", "DELETE"), "endpoint": route.endpoint}, [route])
    assert answer == [(b"allow", b"LINK, PUT"), (b"a", b"b")]
    assert route.asked == 0


class ForAdmins(Route):
    """A route that a middleware decides about."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope["user"] == "admin" and scope["raw_path"] else (Match.NONE, {})


def test_a_route_may_decide_by_all_that_the_request_came_with() -> None:
    routes = [Route("/here", Response, methods=["PUT"]), ForAdmins("/here", Response, methods=["PATCH"])]
    headers = [(b"allow", b"PUT")]
    answer = with_all(headers, {**scope_of("/here", "DELETE"), "user": "admin"}, routes)
    assert answer == [(b"allow", b"PATCH, PUT")]


def test_an_application_that_is_mounted_in_another_one_names_all_methods(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        from opa import get_router
        router = get_router()
        router.get("/milk")(lambda: 1)
        router.post("/milk")(lambda: 1)
        """,
    )
    api = project.app()
    api.mount("/again", api)
    client = TestClient(Starlette(routes=[Mount("/shop", api)]))

    assert client.patch("/shop/milk").headers["allow"] == "GET, POST"
    assert client.patch("/shop/again/milk").headers["allow"] == "GET, POST"
    assert client.patch("/shop/again/again/milk").headers["allow"] == "GET, POST"

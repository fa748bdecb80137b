"""What the settings close stays closed, whichever way a request takes: with the index over the routes, and without."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.http.access.asgi import ask
from tests.http.access.badges import BADGES, NO_GOOD, RIGHT, WITHOUT_SCOPE
from tests.project import Project

SHOP = """
    from pathlib import Path

    from fastapi import APIRouter, FastAPI, Request, WebSocket
    from fastapi.responses import PlainTextResponse
    from fastapi.staticfiles import StaticFiles
    from starlette.applications import Starlette
    from starlette.routing import Host, Mount, Route

    from opa import Setup, get_router

    router = get_router()
    nested = APIRouter(prefix="/nested")
    deeper = APIRouter(prefix="/deeper")
    later = APIRouter(prefix="/later")
    files = Path(__file__).parent.parent / "files"

    @router.get("/orders")
    async def orders():
        return "secret"

    @router.get("/orders/{number}")
    async def order(number: str):
        return "secret"

    @router.get("/slash/")
    async def slash():
        return "secret"

    @router.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("secret")

    @nested.get("/orders")
    async def nested_orders():
        return "secret"

    @deeper.get("/orders")
    async def deeper_orders():
        return "secret"

    def plain(request):
        return PlainTextResponse("secret")

    inner = FastAPI()

    @inner.get("/orders")
    async def inner_orders():
        return "secret"

    @inner.websocket("/socket")
    async def inner_socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("secret")

    nested.include_router(deeper)
    router.include_router(nested)
    router.include_router(later)
    router.add_route("/plain", plain)
    router.mount("/inner", inner)
    router.mount("/files", StaticFiles(directory=files))
    router.routes.append(Host("shop.example", app=Starlette(routes=[Route("/hosted", plain)])))
    router.frontend("/page", directory=files)

    class Adds(Setup):
        def run(self, app: FastAPI):
            extra = APIRouter()
            extra.add_route("/extra", plain_of_a_library)
            app.include_router(extra)
            app.mount("/late", Starlette(routes=[Route("/orders", plain)]))
            app.add_api_route("/added", orders)
            app.frontend("/site", directory=files)

    # As of a package that is no plugin.
    plain_of_a_library = lambda request: PlainTextResponse("secret")
    plain_of_a_library.__module__ = "somewhere"
"""
OTHER = """
    from opa import get_router

    router = get_router()

    @router.get("/hello")
    async def hello():
        return "hello"
"""
SECRETS = [
    "/orders",
    "/orders/7",
    "/nested/orders",
    "/nested/deeper/orders",
    "/plain",
    "/inner/orders",
    "/files/secret.txt",
    "/page/secret.txt",
    "/extra",
    "/late/orders",
    "/added",
    "/site/secret.txt",
]
Client = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def shop(routed: Project) -> Client:
    """Starts the application with a rule."""
    (routed.folder / "files").mkdir()
    (routed.folder / "files" / "secret.txt").write_text("secret")
    routed.plugin("badges.py", BADGES)
    routed.plugin("other.py", OTHER)
    routed.plugin("shop.py", SHOP)

    def start(default: str = "open", **access: Any) -> AbstractContextManager[TestClient]:
        routed.settings(ACCESS=access, ACCESS_DEFAULT=default, WRONG_ATTEMPTS_PER_ADDRESS=None)
        return routed.client(follow_redirects=False, raise_server_exceptions=False)

    return start


def test_a_rule_for_a_plugin_closes_its_routes_wherever_it_has_put_them(shop: Client) -> None:
    with shop(shop="shop:use") as client:
        for path in SECRETS:
            assert client.get(path, headers=RIGHT).text.strip('"') == "secret", path
            assert client.get(path, headers=WITHOUT_SCOPE).status_code == 403, path
            for kind, headers in NO_GOOD.items():
                answer = client.get(path, headers=headers)
                assert (answer.status_code, answer.json()) == (401, {"detail": "not authenticated"}), (path, kind)
        assert client.get("/hello").json() == "hello"


def test_a_route_of_a_host_is_closed(shop: Client) -> None:
    host = {"Host": "shop.example"}
    with shop(shop="shop:use") as client:
        assert client.get("/hosted", headers={**RIGHT, **host}).text == "secret"
        assert client.get("/hosted", headers=host).status_code == 401


@pytest.mark.parametrize("path", ["/socket", "/inner/socket"])
@pytest.mark.parametrize(
    "access", [{"shop": "shop:use"}, {"/socket": "shop:use", "/inner": "shop:use"}, {"*": "shop:use"}]
)
def test_a_websocket_is_closed(shop: Client, path: str, access: dict[str, str]) -> None:
    with shop(**access) as client:
        with client.websocket_connect(path, headers=RIGHT) as socket:
            assert socket.receive_text() == "secret"
        for headers, status in ((WITHOUT_SCOPE, 403), *((headers, 401) for headers in NO_GOOD.values())):
            with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path, headers=headers):
                pass
            assert refused.value.status_code == status


def test_without_the_extension_of_the_server_a_websocket_is_closed(shop: Client) -> None:
    with shop("closed") as client:
        assert sent_to_handshake(client, "/socket") == [
            {"type": "websocket.close", "code": 1008, "reason": "not authenticated"}
        ]


def sent_to_handshake(client: TestClient, path: str) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "extensions": {},
    }
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("default", "access"),
    [("open", {"*": "signed-in"}), ("closed", {})],
)
def test_everything_can_be_closed(shop: Client, default: str, access: dict[str, str]) -> None:
    with shop(default, **access) as client:
        for path in (*SECRETS, "/hello", "/docs", "/redoc", "/openapi.json", "/nothing", "/slash", "/orders/", "/"):
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers=WITHOUT_SCOPE).status_code not in (401, 403), path
            assert client.request("OPTIONS", path).status_code == 401, path
            assert client.delete(path).status_code == 401, path
            assert client.head(path).status_code == 401, path
        assert client.get("/nothing", headers=WITHOUT_SCOPE).status_code == 404
        assert client.delete("/orders", headers=WITHOUT_SCOPE).status_code == 405
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


LATE = """
    from contextlib import asynccontextmanager

    from fastapi.responses import PlainTextResponse
    from starlette.applications import Starlette
    from starlette.routing import Route

    from opa import get_router, register

    @asynccontextmanager
    async def lifespan(app):
        app.mount("/by-lifespan", inner)
        yield

    router = get_router(lifespan=lifespan)

    # As of a package that is no plugin.
    plain = lambda request: PlainTextResponse("secret")
    plain.__module__ = "somewhere"
    inner = Starlette(routes=[Route("/orders", plain)])

    async def ready(app):
        app.mount("/by-ready", inner)

    @register("startup")
    async def adds_in_the_group(app):
        app.mount("/by-group", inner)
"""


def test_a_rule_for_a_plugin_closes_the_routes_that_it_adds_while_it_starts(shop: Client, routed: Project) -> None:
    routed.plugin("late.py", LATE)
    with shop(late="late:use") as client:
        for path in ("/by-lifespan/orders", "/by-ready/orders", "/by-group/orders"):
            assert client.get(path).status_code == 401, path
    with shop(late="signed-in") as client:
        for path in ("/by-lifespan/orders", "/by-ready/orders", "/by-group/orders"):
            assert client.get(path, headers=RIGHT).text == "secret", path


BODY = """
    from pydantic import BaseModel

    from opa import Requires, get_router

    router = get_router()

    class Order(BaseModel):
        number: int

    @router.post("/body", dependencies=[Requires()])
    def body(order: Order): ...
"""


@pytest.mark.parametrize(("access", "status"), [({}, 422), ({"/body": "signed-in"}, 401)])
def test_only_the_settings_stand_before_a_body_is_read(
    shop: Client, routed: Project, access: dict[str, str], status: int
) -> None:
    routed.plugin("body.py", BODY)
    with shop(**access) as client:
        assert client.post("/body", content=b"{", headers={"Content-Type": "application/json"}).status_code == status
        assert client.post("/body", json={}).status_code == 401


def test_a_plugin_can_be_opened_where_the_rest_is_closed(shop: Client) -> None:
    with shop("closed", other="open", **{"/docs": "open"}) as client:
        assert client.get("/hello").json() == "hello"
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").status_code == 401
        assert client.get("/orders").status_code == 401


def test_another_method_and_another_slash_are_of_the_same_plugin(shop: Client) -> None:
    with shop(shop="shop:use") as client:
        for path in ("/orders", "/orders/", "/slash", "/slash/", "/nested/orders/", "/extra/"):
            for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "WHATEVER"):
                assert client.request(method, path).status_code == 401, (method, path)
        assert client.get("/slash", headers=RIGHT).status_code == 307
        assert client.delete("/orders", headers=RIGHT).status_code == 405


def test_files_are_closed_also_where_nothing_is_redirected_for_a_slash(shop: Client, routed: Project) -> None:
    routed.plugin(
        "open.py",
        """
        from fastapi import FastAPI
        from opa import Setup, get_router

        router = get_router()

        @router.get("/site/{name}/")
        def of_another_slash(name: str):
            return "hello"

        class Changes(Setup):
            def run(self, app: FastAPI):
                app.router.redirect_slashes = False
        """,
    )
    with shop(shop="shop:use") as client:
        assert client.get("/site/secret.txt").status_code == 401
        assert client.get("/site/secret.txt/").json() == "hello"


LEADING_THERE = [
    "/orders%0A",
    "/orders/%0A",
    "/%6Frders",
    "//orders",
    "/./orders",
    "/hello/../orders",
    "/orders;x=1",
    "/orders?x=1",
    "/orders/..%2f..%2forders",
    "/files/../files/secret.txt",
    "/files//secret.txt",
    "/files/./secret.txt",
    "/files/%2e/secret.txt",
    "/files/x/../secret.txt",
    "/files/x/%2e%2e/secret.txt",
    "/files/x%2f..%2fsecret.txt",
    "/files/x%5Cy/../secret.txt",
    "/files/secret.txt%0A",
    "/page/x/../secret.txt",
    "/inner/orders%0A",
    "/inner//orders",
    "/late/x/../orders",
]


@pytest.mark.parametrize("path", LEADING_THERE)
@pytest.mark.parametrize(
    "access",
    [
        {"shop": "shop:use"},
        {"/orders": "shop:use", "/files/secret.txt": "shop:use", "/page": "shop:use", "/late": "shop:use"}
        | {"/inner/orders": "shop:use", "/files": "open", "/files/x": "open"},
        {"/": "shop:use", "/hello": "open", "/files/x": "open"},
    ],
    ids=["plugin", "path", "root"],
)
def test_no_way_of_writing_a_path_leads_past_a_rule(shop: Client, path: str, access: dict[str, str]) -> None:
    with shop(**access) as client:
        assert "secret" not in ask(client, path)[0]


def test_some_of_these_ways_lead_there_where_nothing_is_closed(shop: Client) -> None:
    """Or else the test above would show nothing."""
    with shop(other="shop:use") as client:
        leading = [path for path in LEADING_THERE if "secret" in ask(client, path)[0]]
    assert len(leading) > 10, leading
    assert {"/orders%0A", "/files/x%5Cy/../secret.txt"} <= {*leading}, leading


LATER = """
    import types

    from fastapi import APIRouter, FastAPI, Request
    from opa import Setup, get_router

    router = get_router()
    nested = APIRouter()
    extra = APIRouter()

    def of_a_library():
        return "secret"

    of_a_library.__module__ = "somewhere"

    @nested.get("/first")
    async def first():
        return "first"

    class Adds(Setup):
        def run(self, app: FastAPI):
            app.include_router(extra, prefix="/extra")

    router.include_router(nested)

    def add(app):
        router.add_api_route("/in-router", of_a_library)
        nested.add_api_route("/in-nested", of_a_library)
        extra.add_api_route("/later", of_a_library)
        app.add_api_route("/in-app", first)
"""


def test_routes_that_are_added_later_are_closed(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    routed.plugin("later.py", LATER)
    routed.settings(ACCESS={"later": "shop:use"})
    with routed.client() as client:
        assert client.get("/first").status_code == 401
        sys.modules["later"].add(client.app)
        for path in ("/in-router", "/in-nested", "/extra/later", "/in-app", "/first"):
            # One that FastAPI does not serve, since its router was included before, is no way past the rule either.
            assert client.get(path, headers=RIGHT).status_code in (200, 404), path
            assert client.get(path, headers=RIGHT).status_code == 404 or client.get(path).status_code == 401, path
        assert client.get("/in-app", headers=RIGHT).json() == "first"


@pytest.mark.parametrize("access", [{"shop": "shop:use"}, {"/orders": "shop:use"}, {"*": "shop:use"}])
def test_the_prefix_of_a_proxy_leads_past_no_rule(shop: Client, routed: Project, access: dict[str, str]) -> None:
    routed.settings(OPENAPI_PREFIX="/api")
    with shop(**access) as client:
        for path in ("/orders", "/api/orders", "/api/orders%0A", "/api//orders", "/api/./orders", "/api/api/orders"):
            assert "secret" not in ask(client, path)[0], path
        assert client.get("/api/orders", headers=RIGHT).json() == "secret"
        assert client.get("/orders", headers=RIGHT).json() == "secret"


def test_the_rule_is_that_of_the_path_to_which_a_middleware_leads(shop: Client, routed: Project) -> None:
    routed.plugin(
        "rewrites.py",
        """
        from starlette.middleware import Middleware

        class Rewrites:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                path = scope.get("path", "")
                scope = {**scope, "path": path.removeprefix("/v1")} if path.startswith("/v1/") else scope
                await self.app(scope, receive, send)

        middleware = [Middleware(Rewrites)]
        """,
    )
    with shop(**{"/orders": "shop:use", "/v1": "open"}) as client:
        assert client.get("/v1/orders").status_code == 401
        assert client.get("/v1/orders", headers=RIGHT).json() == "secret"

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request, Security, WebSocket
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from opa.http.routing.router import IndexedRouter
from tests.http.accelerated import with_body_limits, with_form_limits
from tests.project import Project


class Item(BaseModel):
    name: str


class Mistake(BaseModel):
    text: str


def number_of(query: str = "") -> int:
    return len(query)


def number() -> int:
    return 1


def refuse() -> None:
    raise HTTPException(403)


def app_with(*routers: APIRouter) -> FastAPI:
    app = FastAPI()
    app.router = IndexedRouter.in_place_of(app.router)
    for router in routers:
        app.include_router(router)
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
    app = app_with(outer)
    assert TestClient(app).get("/outer/greet/hello").json() == {"value": 1}
    assert "/outer/greet/hello" in [route.path for route in app.routes if isinstance(route, APIRoute)]


def test_the_schema_of_nested_routers_is_that_of_include_router() -> None:
    def deepest(**options: Any) -> APIRouter:
        router = APIRouter(prefix="/deep", tags=["deep"], responses={404: {"model": Mistake}}, **options)

        @router.post("/items/{number}", response_model=list[Item], status_code=201)
        async def create(number: int, item: Item, value: Annotated[int, Depends(number_of)]) -> Any: ...

        router.add_api_route("/", number)
        router.add_api_route("/old", number, deprecated=True, operation_id="old", response_class=PlainTextResponse)
        router.add_api_route("/hidden", number, include_in_schema=False)
        return router

    callbacks = APIRouter()
    callbacks.add_api_route("{$callback_url}/called", number)

    def included_in(app: FastAPI) -> Any:
        middle = APIRouter(prefix="/middle/{place}", dependencies=[Depends(number_of)], responses={409: {}})
        middle.include_router(deepest(), prefix="/low", tags=["low"], deprecated=True)
        middle.include_router(deepest(default_response_class=PlainTextResponse), include_in_schema=False)
        middle.include_router(deepest(callbacks=callbacks.routes), prefix="/called")
        app.include_router(middle)
        app.include_router(deepest(), prefix="/v1", tags=["v1"], dependencies=[Depends(number_of)])
        app.include_router(deepest(), prefix="/v2", callbacks=callbacks.routes)
        app.include_router(deepest(), prefix="/v3", generate_unique_id_function=lambda route: route.path[1:])
        app.include_router(deepest(generate_unique_id_function=lambda route: route.name), prefix="/v4")
        app.include_router(deepest(), responses={402: {"description": "pay"}})
        return app.openapi()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # operation ids are in it twice
        assert included_in(app_with()) == included_in(FastAPI())


def test_each_option_of_include_router_counts() -> None:
    """Alone, since a router that is included without any is not analysed once more."""

    def included_in(app: FastAPI, **options: Any) -> Any:
        app.include_router(hello_router(), **options)
        client = TestClient(app, raise_server_exceptions=False)
        return app.openapi(), [client.get(path).status_code for path in ("/greet/hello", "/v1/greet/hello")]

    callbacks = APIRouter()
    callbacks.add_api_route("{$callback_url}/called", number)
    for options in (
        {"prefix": "/v1"},
        {"tags": ["v1"]},
        {"dependencies": [Depends(refuse)]},
        {"responses": {402: {"description": "pay"}}},
        {"deprecated": True},
        {"include_in_schema": False},
        {"default_response_class": PlainTextResponse},
        {"callbacks": callbacks.routes},
        {"generate_unique_id_function": lambda route: route.path},
    ):
        assert included_in(app_with(), **options) == included_in(FastAPI(), **options), options


def test_an_application_may_be_lax_about_content_types() -> None:
    router = APIRouter()

    @router.post("/add")
    async def add(numbers: list[int]) -> int:
        return sum(numbers)

    for strict, status in ((True, 422), (False, 200)):
        app = FastAPI(strict_content_type=strict)
        app.router = IndexedRouter.in_place_of(app.router)
        app.include_router(router)
        assert TestClient(app).post("/add", content="[1, 2]").status_code == status


def test_dependencies_and_overrides_count_in_nested_routers() -> None:
    for options in ({}, {"prefix": "/v1"}):
        outer = APIRouter()
        outer.include_router(hello_router(), prefix="/open")
        outer.include_router(hello_router(), prefix="/closed", dependencies=[Depends(refuse)])
        app = app_with()
        app.include_router(outer, **options)  # type: ignore[arg-type]
        prefix, client = options.get("prefix", ""), TestClient(app)
        assert client.get(f"{prefix}/closed/greet/hello").status_code == 403
        app.dependency_overrides |= {number: lambda: 2, refuse: lambda: None}
        assert client.get(f"{prefix}/open/greet/hello").json() == {"value": 2}
        assert client.get(f"{prefix}/closed/greet/hello").json() == {"value": 2}


def test_websockets_of_nested_routers_have_their_dependencies_and_overrides() -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(dependencies=[Depends(number)])

    @inner.websocket("/echo")
    async def echo(websocket: WebSocket, value: Annotated[int, Depends(number)]) -> None:
        await websocket.accept()
        await websocket.send_json(value)
        await websocket.close()

    outer.include_router(inner, prefix="/outer")
    app = app_with(outer)
    app.dependency_overrides[number] = lambda: 3
    with TestClient(app).websocket_connect("/outer/inner/echo") as websocket:
        assert websocket.receive_json() == 3


def test_routes_of_nested_routers_keep_their_order() -> None:
    def answering(text: str, path: str) -> APIRouter:
        router = APIRouter()
        router.add_api_route(path, lambda: text)
        return router

    outer = answering("first", "/a/{x}")
    outer.include_router(answering("second", "/{x}/b"))
    outer.add_api_route("/c/b", lambda: "third")
    outer.include_router(answering("fourth", "/{x}"), prefix="/d")
    client = TestClient(app_with(outer, answering("fifth", "/{x}/{y}")))
    answers = {"/a/b": "first", "/b/b": "second", "/c/b": "second", "/d/b": "second", "/d/c": "fourth", "/c/c": "fifth"}
    assert {path: client.get(path).json() for path in answers} == answers


def test_a_route_is_analysed_once() -> None:
    router = hello_router()
    router.add_api_route("/list", number, response_model=list[int], dependencies=[Depends(number)])
    routes = [route for route in app_with(router).routes if isinstance(route, APIRoute)]
    assert [route.dependant for route in routes] == [route.dependant for route in router.routes]  # type: ignore[attr-defined]
    assert all(route.dependant is its.dependant for route, its in zip(routes, router.routes, strict=True))  # type: ignore[attr-defined]


def test_changes_of_routes_before_they_are_included_count() -> None:
    async def another() -> int:
        return 5

    router = APIRouter()
    for path in ("/depends", "/endpoint", "/model", "/path", "/same"):
        router.add_api_route(path, number, response_model=int)
    depends, endpoint, model, moved, _ = (route for route in router.routes if isinstance(route, APIRoute))
    depends.dependencies.append(Depends(refuse))
    endpoint.endpoint = another
    model.response_model = str
    moved.path = "/changed/{x}"
    plain = Route("/plain", PlainTextResponse("plain"))
    plain.path = "/changed-too"
    router.routes.append(plain)
    statuses = {
        "/depends": 403,
        "/endpoint": 200,
        "/model": 500,
        "/path": 404,
        "/changed/1": 200,
        "/same": 200,
        "/plain": 404,
        "/changed-too": 200,
    }
    theirs = FastAPI()
    theirs.include_router(router)
    for app in (theirs, app_with(router)):
        client = TestClient(app, raise_server_exceptions=False)
        answers = {path: client.get(path) for path in statuses}
        assert {path: each.status_code for path, each in answers.items()} == statuses
        assert answers["/endpoint"].json() == 5


def refuse_b(scopes: SecurityScopes) -> None:
    if "b" in scopes.scopes:
        raise HTTPException(403)


def test_a_dependency_that_a_nested_router_gets_counts_where_that_was_included_before() -> None:
    inner, outer = hello_router(), APIRouter()
    outer.include_router(inner, prefix="/outer")
    app_with(outer)
    inner.routes[0].dependencies.append(Depends(refuse))  # type: ignore[attr-defined]
    assert TestClient(app_with(outer)).get("/outer/greet/hello").status_code == 403


def test_other_scopes_of_a_dependency_count() -> None:
    router = APIRouter()
    router.add_api_route("/hello", number, dependencies=[Security(refuse_b, scopes=["a"])])
    assert TestClient(app_with(router)).get("/hello").status_code == 200
    router.routes[0].dependencies[0] = Security(refuse_b, scopes=["b"])  # type: ignore[attr-defined]
    assert TestClient(app_with(router)).get("/hello").status_code == 403


def test_a_route_that_was_made_before_its_router_has_the_defaults_of_that() -> None:
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    for options in ({"default_response_class": PlainTextResponse}, {"strict_content_type": False}):
        routes = [APIRoute("/text", lambda: "text"), APIRoute("/add", add, methods=["POST"])]
        router = APIRouter(routes=routes, **options)  # type: ignore[arg-type]
        theirs = FastAPI()
        theirs.include_router(router)
        answers = []
        for app in (theirs, app_with(router)):
            client = TestClient(app)
            answers.append((client.get("/text").text, client.post("/add", content="[1, 2]").status_code))
        assert answers[0] == answers[1]


def test_a_route_of_another_router_with_the_same_routes_does_not_come_before_its_turn() -> None:
    first, between = APIRouter(), APIRouter()
    first.add_route("/plain", lambda _: PlainTextResponse("plain"))
    second = APIRouter(routes=first.routes)
    between.add_api_route("/x/{y}", lambda: "between")
    client = TestClient(app_with(first, between, second))
    second.add_api_route("/x/b", lambda: "second")
    assert client.get("/x/b").json() == "between"
    second.routes.clear()
    second.add_api_route("/x/b", lambda: "second")
    assert client.get("/plain").text == "plain"


# What comes later


def test_a_route_that_a_router_gets_later_is_served_in_its_place() -> None:
    router, after = hello_router(), APIRouter()
    after.add_api_route("/greet/{x}", lambda: "after")
    app = app_with(router, after)
    client = TestClient(app)
    assert client.get("/greet/later").json() == "after"
    router.add_api_route("/later", lambda: "later")
    assert client.get("/greet/later").json() == "later"
    assert client.get("/greet/hello").json() == {"value": 1}
    assert "/greet/later" in app.openapi()["paths"]
    app.dependency_overrides[number] = lambda: 2
    assert client.get("/greet/hello").json() == {"value": 2}


def test_a_route_that_a_nested_router_gets_later_is_served() -> None:
    outer, inner, innermost = APIRouter(prefix="/outer"), APIRouter(prefix="/inner"), APIRouter(prefix="/innermost")
    outer.add_api_route("/", number)
    outer.include_router(inner)
    client = TestClient(app_with(outer))
    inner.add_api_route("/later", lambda: "later")
    assert client.get("/outer/inner/later").json() == "later"
    inner.include_router(innermost)
    assert client.get("/outer/inner/innermost/later").status_code == 404
    innermost.add_api_route("/later", lambda: "still later")
    assert client.get("/outer/inner/innermost/later").json() == "still later"


def test_a_router_without_routes_gets_them_later() -> None:
    router = APIRouter()
    client = TestClient(app_with(router))
    assert client.get("/later").status_code == 404
    router.add_api_route("/later", lambda: "later")
    assert client.get("/later").json() == "later"


def test_a_router_whose_routes_were_taken_out_does_not_come_back() -> None:
    router = hello_router()
    app = app_with(router)
    app.router.routes.clear()
    router.add_api_route("/later", number)
    assert TestClient(app).get("/greet/later").status_code == 404


def test_a_setup_may_add_to_the_router_of_its_plugin(project: Project) -> None:
    project.plugin(
        "mine.py",
        """
        from opa import Setup, get_router

        router = get_router(prefix="/mine")

        @router.get("/first")
        async def first():
            return "first"

        class Later(Setup):
            def __init__(self):
                router.add_api_route("/later", first)
        """,
    )
    with project.client() as client:
        assert client.get("/mine/first").json() == client.get("/mine/later").json() == "first"


def test_a_router_in_two_applications_gets_its_later_routes_in_both() -> None:
    router = hello_router()
    apps = [app_with(router), app_with(router), FastAPI()]
    apps[2].include_router(router)
    router.add_api_route("/later", lambda: "later")
    assert [TestClient(app).get("/greet/later").json() for app in apps] == ["later"] * 3


# Limits of bodies and forms


def size_of(numbers: list[int]) -> int:
    return len(numbers)


def router_of_all_kinds(**options: Any) -> APIRouter:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    router = APIRouter(**options)
    router.add_api_route("/size", size_of, methods=["POST"])
    router.add_route("/plain", echo, methods=["POST"])
    router.mount("/mounted", Starlette(routes=[Route("/echo", echo, methods=["POST"])]))
    return router


def limited_router(app: FastAPI) -> None:
    app.include_router(router_of_all_kinds(max_body_size=5))


def limited_where_it_is_included(app: FastAPI) -> None:
    options: Any = {"max_body_size": 5}
    app.include_router(router_of_all_kinds(), **options)


def limited_in_an_unlimited_one(app: FastAPI) -> None:
    outer = APIRouter()
    outer.include_router(router_of_all_kinds(max_body_size=5))
    app.include_router(outer)


def unlimited_in_a_limited_one(app: FastAPI) -> None:
    options: Any = {"max_body_size": 5}
    outer = APIRouter(**options)
    outer.include_router(router_of_all_kinds())
    app.include_router(outer, prefix="")


def limited_route(app: FastAPI) -> None:
    options: Any = {"max_body_size": 5}
    router = APIRouter()
    router.add_api_route("/size", size_of, methods=["POST"], **options)
    app.include_router(router)


def limited_route_elsewhere(app: FastAPI) -> None:
    options: Any = {"max_body_size": 5}
    router, outer = APIRouter(), APIRouter(tags=["outer"])
    router.add_api_route("/size", size_of, methods=["POST"], **options)
    outer.include_router(router)
    app.include_router(outer)


@with_body_limits
@pytest.mark.parametrize(
    "include",
    [
        limited_router,
        limited_where_it_is_included,
        limited_in_an_unlimited_one,
        unlimited_in_a_limited_one,
        limited_route,
        limited_route_elsewhere,
    ],
)
def test_a_limit_of_bodies_counts_as_with_fastapis_router(include: Callable[[FastAPI], None]) -> None:
    answers = []
    for app in (FastAPI(), app_with()):
        include(app)
        client = TestClient(app, headers=JSON)
        asked = [client.post(path, content=body) for path in PATHS for body in ("[1]", "[1, 2, 3]")]
        answers.append([(answer.status_code, answer.text) for answer in asked])
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[1]][:2] == [200, 413]


JSON = {"content-type": "application/json"}
PATHS = ["/size", "/plain", "/mounted/echo", "/nobody"]


@with_body_limits
def test_a_limit_of_the_application_counts() -> None:
    options: Any = {"max_body_size": 5}
    app = FastAPI(**options)
    app.router = IndexedRouter.in_place_of(app.router)
    app.include_router(router_of_all_kinds())
    client = TestClient(app, headers=JSON)
    assert [client.post(path, content="[1, 2, 3]").status_code for path in PATHS[:3]] == [413] * 3
    assert [client.post(path, content="[1]").status_code for path in PATHS[:3]] == [200] * 3


@with_form_limits
@pytest.mark.parametrize("limited", ["application", "router", "include_router", "route"])
def test_a_limit_of_forms_counts(limited: str) -> None:
    def fields(a: Annotated[str, Form()], b: Annotated[str, Form()] = "") -> str:
        return a + b

    def options(of: str) -> Any:
        return {"form_limits": {"max_fields": 1}} if of == limited else {}

    app, router = FastAPI(**options("application")), APIRouter(**options("router"))
    app.router = IndexedRouter.in_place_of(app.router)
    router.add_api_route("/form", fields, methods=["POST"], **options("route"))
    app.include_router(router, **options("include_router"))
    client = TestClient(app)
    assert client.post("/form", files={"a": (None, "1")}).status_code == 200
    assert client.post("/form", files={"a": (None, "1"), "b": (None, "2")}).status_code == 400


# What stays with FastAPI


def test_a_router_that_finds_its_routes_by_itself_is_asked() -> None:
    class Choosy(APIRouter):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return (Match.NONE, {}) if b"x-hide" in dict(scope["headers"]) else super().matches(scope)

    for outer in (Choosy(), APIRouter()):
        router = outer if isinstance(outer, Choosy) else Choosy()
        router.add_api_route("/hello", lambda: "hello")
        if outer is not router:
            outer.include_router(router)
        client = TestClient(app_with(outer))
        assert client.get("/hello").json() == "hello"
        assert client.get("/hello", headers={"x-hide": "yes"}).status_code == 404


def test_a_router_that_cannot_be_included_is_told_at_once_and_hurts_no_other_route() -> None:
    router = APIRouter()
    router.add_api_route("/{x}", number)
    app = app_with(hello_router())
    with pytest.raises(ValueError, match="Duplicated param name x"):
        app.include_router(router, prefix="/{x}")
    client = TestClient(app)
    assert client.get("/greet/hello").json() == {"value": 1}
    with pytest.raises(ValueError, match="Duplicated param name x"):
        client.get("/nobody")


def test_a_route_of_an_unknown_class_in_a_router_is_left_out_as_by_fastapi() -> None:
    class Own(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.FULL, {}

    router = hello_router()
    router.routes.append(Own())
    assert TestClient(app_with(router)).get("/nobody").status_code == 404


def test_the_middleware_of_a_plain_route_stays() -> None:
    class Refusing:
        def __init__(self, app: ASGIApp) -> None: ...

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("no", status_code=403)(scope, receive, send)

    router = APIRouter()
    router.routes.append(Route("/closed", PlainTextResponse("open"), middleware=[Middleware(Refusing)]))
    assert TestClient(app_with(router)).get("/closed").status_code == 403


def test_a_frontend_of_a_router_is_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front")
    router = hello_router()
    router.frontend("/", directory=tmp_path)
    client = TestClient(app_with(router))
    assert client.get("/greet/index.html").text == "front"
    assert client.get("/greet/hello").json() == {"value": 1}


def test_frontends_of_nested_routers_are_served_after_all_routes(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front")
    outer, inner = APIRouter(), hello_router()
    inner.frontend("/", directory=tmp_path)
    outer.include_router(inner, prefix="/outer")
    last = APIRouter()
    last.add_api_route("/outer/greet/{x}", lambda: "last")
    client = TestClient(app_with(outer, last))
    assert client.get("/outer/greet/hello").json() == {"value": 1}
    assert client.get("/outer/greet/index.html").json() == "last"
    assert client.get("/outer/greet/").text == "front"
    assert client.post("/outer/greet/").status_code == 405
    inner.add_api_route("/", lambda: "route")
    assert client.get("/outer/greet/").json() == "route"


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

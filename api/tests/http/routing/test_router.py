"""What a user may rely on, by name; random tables stand in test_beside_fastapi.py."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound, Route, WebSocketRoute, compile_path
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from opa.http.routing import router as indexed_router
from opa.http.routing.router import IndexedRouter
from tests.http.accelerated import accelerated
from tests.http.routing.tables import CHANGES, Asked, answer, answering, both, hold_together
from tests.project import Project


def get(path: str, root_path: str = "") -> Asked:
    return Asked("http", "GET", path, root_path)


def app_of(name: str) -> Any:
    """An ASGI application as an endpoint: a class of its own, so that Starlette passes all methods on."""
    return type("App", (), {"__call__": staticmethod(answering(name))})()


def plain(path: str, *methods: str) -> Route:
    return Route(path, app_of(f"{path} {methods}"), methods=methods or None)


def both_with(*make: Callable[[], BaseRoute]) -> tuple[FastAPI, FastAPI]:
    apps = both()
    for app in apps:
        app.router.routes.extend(each() for each in make)
    return apps


def both_with_paths(*paths: str) -> tuple[FastAPI, FastAPI]:
    return both_with(*(partial(plain, path, "GET") for path in paths))


def status(app: FastAPI, asked: Asked) -> int:
    return int(asyncio.run(answer(app, asked))[0]["status"])


class Counted:
    """How often something was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.times = 0
        called = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.times += 1
            return called(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)


async def hello() -> str:
    return "hello"


# Which route


def test_of_two_routes_that_match_the_first_answers() -> None:
    theirs, ours = both_with_paths("/a/{x}", "/a/b", "/{x}/b", "/b/b", "/{x:path}", "/c")
    hold_together(theirs, ours, [get("/a/b"), get("/b/b"), get("/c"), get("/x/b"), get("/a/x")])


@pytest.mark.parametrize(
    "path", ["/a\n", "/a/\n", "/a//", "//a", "/a//b", "/A", "a", "", "*", "/a/\n/", "/a\n/", "/a\n\n"]
)
def test_odd_paths_are_answered_as_by_fastapi(path: str) -> None:
    theirs, ours = both_with_paths("/a", "/a/b", "/b/", "/{x}/{y}", "/a//b", "//a", "/a/{x}/", "/")
    hold_together(theirs, ours, [get(path), Asked("websocket", "GET", path)])


@pytest.mark.parametrize("root_path", ["", "/api", "/api/", "/", "api", "/api/a"])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api//", "/api///", "/api/a", "/api/a/", "/api/b/", "/b", "/apia"])
def test_the_root_path_is_taken_off_as_by_fastapi(path: str, root_path: str) -> None:
    theirs, ours = both_with_paths("/a", "/b/", "/api/a", "/api", "/", "/{x}/b")
    hold_together(theirs, ours, [get(path, root_path)])


def test_a_wrong_method_is_answered_by_the_first_route_of_the_path() -> None:
    theirs, ours = both_with(lambda: plain("/a", "PUT"), lambda: plain("/{x}", "POST"), lambda: plain("/a", "DELETE"))
    hold_together(theirs, ours, [get("/a"), Asked("http", "DELETE", "/a"), Asked("http", "POST", "/a"), get("/b")])
    (start, _) = asyncio.run(answer(ours, get("/a")))
    assert start["status"] == 405
    assert (b"allow", b"PUT") in start["headers"]


def test_a_later_route_with_the_right_method_is_preferred() -> None:
    theirs, ours = both_with(lambda: plain("/a", "PUT"), lambda: plain("/{x}"))
    hold_together(theirs, ours, [get("/a"), Asked("http", "HEAD", "/a")])
    assert status(ours, get("/a")) == 200


def test_head_is_answered_where_fastapi_answers_it() -> None:
    theirs, ours = both_with(lambda: plain("/a", "GET"))
    for app in (theirs, ours):
        app.get("/b")(hello)
    hold_together(theirs, ours, [Asked("http", "HEAD", "/a"), Asked("http", "HEAD", "/b")])


def test_a_slash_is_added_or_taken_off_where_that_helps() -> None:
    theirs, ours = both_with(
        lambda: plain("/a"), lambda: plain("/b/"), lambda: plain("/c", "POST"), lambda: Mount("/d", app_of("d"))
    )
    asked = [get("/a/"), get("/b"), get("/a//"), get("/c/"), get("/d"), get("/e"), Asked("websocket", "GET", "/a/")]
    hold_together(theirs, ours, asked)
    assert [status(ours, each) for each in asked[:6]] == [307, 307, 307, 307, 307, 404]


def test_without_redirected_slashes_there_are_none() -> None:
    apps = both_with_paths("/a")
    for app in apps:
        app.router.redirect_slashes = False
    hold_together(*apps, [get("/a/")])
    assert status(apps[1], get("/a/")) == 404


def test_mounts_hosts_and_websockets_are_found() -> None:
    theirs, ours = both_with(
        lambda: Mount("/a/{x}", app_of("mount")),
        lambda: Host("{x}.example.com", app_of("host")),
        lambda: WebSocketRoute("/a", app_of("socket")),
        lambda: Mount("", app_of("all")),
        lambda: plain("/never"),
    )
    asked = [
        get("/a/b"),
        get("/a/b/c"),
        Asked("http", "GET", "/x", host="a.example.com"),
        Asked("websocket", "GET", "/a"),
        Asked("websocket", "GET", "/a/b/c"),
        get("/never"),
    ]
    hold_together(theirs, ours, asked)


def test_a_route_of_an_unknown_class_is_always_asked() -> None:
    class ByMethod(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return (Match.FULL if scope.get("method") == "PURGE" else Match.NONE), {}

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("purged")(scope, receive, send)

    theirs, ours = both_with(lambda: plain("/a"), ByMethod, lambda: plain("/{x:path}"))
    hold_together(theirs, ours, [Asked("http", "PURGE", path) for path in ("/a", "/b/c", "")])


def test_a_custom_default_answers_where_no_route_does() -> None:
    _, ours = both_with_paths("/a")
    ours.router.default = PlainTextResponse("the default of another router")
    assert TestClient(ours).get("/b").text == "the default of another router"


def test_the_scope_and_urls_name_the_router_itself() -> None:
    _, ours = both()

    async def where(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["router"] is ours.router
        await PlainTextResponse(str(scope["router"].url_path_for("there", x="1")))(scope, receive, send)

    ours.router.routes += [Mount("/where", where), Route("/there/{x}", app_of("there"), name="there")]
    assert TestClient(ours).get("/where/").text == "/there/1"


def test_a_frontend_comes_after_all_routes(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front")
    theirs, ours = both_with_paths("/a/")
    for app in (theirs, ours):
        app.frontend("/", directory=tmp_path)
        app.get("/index.html")(hello)
    hold_together(theirs, ours, [get("/"), get("/index.html"), get("/a"), get("/nobody"), Asked("http", "POST", "/")])
    assert TestClient(ours).get("/").text == "front"
    assert TestClient(ours).get("/index.html").json() == "hello"


def test_the_lifespan_and_the_handlers_of_the_application_run() -> None:
    ran: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        ran.append("in")
        yield {"key": "value"}
        ran.append("out")

    app = FastAPI(lifespan=lifespan)
    app.router = IndexedRouter.in_place_of(app.router)
    with TestClient(app) as client:
        assert client.app_state == {"key": "value"}
        assert ran == ["in"]
    assert ran == ["in", "out"]
    app = FastAPI()
    app.router = IndexedRouter.in_place_of(app.router)
    app.router.on_startup.append(lambda: ran.append("startup"))
    with TestClient(app):
        assert ran[2:] == ["startup"]


# Changes


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_change_of_the_routes_holds_for_the_next_request(name: str) -> None:
    paths = ["/c", "/{x}", "/a", "/b", "/{y}/{z}"]
    theirs, ours = both_with_paths(*paths)
    asked = [get(path) for path in ["/a", "/b", "/c", "/new", "/x/y"]]
    hold_together(theirs, ours, asked)
    for app in (theirs, ours):
        CHANGES[name](app.router, 1, plain("/new", "GET"))
    hold_together(theirs, ours, asked)


def test_the_routes_of_the_application_are_those_of_the_router() -> None:
    _, ours = both_with_paths("/a")
    assert ours.routes is ours.router.routes
    held = ours.routes
    ours.router.routes += [plain("/b")]
    held.append(plain("/c"))
    assert [status(ours, get(path)) for path in ("/a", "/b", "/c")] == [200] * 3


def test_an_assigned_list_replaces_the_routes() -> None:
    _, ours = both_with_paths("/a", "/b")
    assert status(ours, get("/a")) == 200
    ours.router.routes = [route for route in ours.router.routes if route.path != "/a"]  # type: ignore[attr-defined]
    assert [status(ours, get(path)) for path in ("/a", "/b")] == [404, 200]
    ours.router.routes.append(plain("/a"))
    assert status(ours, get("/a")) == 200


def test_a_path_that_is_changed_in_a_route_counts_once_the_list_is_assigned() -> None:
    _, ours = both_with_paths("/a")
    assert status(ours, get("/a")) == 200
    route: Any = ours.routes[0]
    route.path = "/b"
    route.path_regex, route.path_format, route.param_convertors = compile_path("/b")
    ours.router.routes = list(ours.router.routes)
    assert [status(ours, get(path)) for path in ("/a", "/b")] == [404, 200]


# Cost


def test_only_routes_that_can_match_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = both()
    for number in range(200):
        ours.get(f"/p{number}/{{x}}")(hello)
    tried = Counted(monkeypatch, Route, "matches")
    for path, times in {"/p199/x": 1, "/p199/x/": 2, "/nobody": 0, "/p199": 0, "/p1/x/y": 0}.items():
        tried.times = 0
        status(ours, get(path))
        assert tried.times == times, path


def test_a_url_asks_only_routes_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = both()
    for number in range(200):
        ours.get(f"/p{number}/{{x}}", name=f"n{number}")(hello)
    ours.router.build_index()  # type: ignore[attr-defined]
    tried = Counted(monkeypatch, Route, "url_path_for")
    assert ours.url_path_for("n199", x="1") == "/p199/1"
    assert tried.times == 1


def test_a_route_is_found_by_a_name_that_it_got_later() -> None:
    _, ours = both()
    ours.get("/here", name="first")(hello)
    assert ours.url_path_for("first") == "/here"
    ours.router.routes[0].name = "second"  # type: ignore[attr-defined]
    assert ours.url_path_for("second") == "/here"
    with pytest.raises(NoMatchFound):
        ours.url_path_for("first")


def test_the_index_reads_only_the_routes_that_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that serves shares the memory of the routes with others, until it looks at them."""
    read = Counted(monkeypatch, indexed_router, "shape_of")
    _, ours = both_with_paths(*(f"/p{number}" for number in range(100)))
    ours.router.build_index()  # type: ignore[attr-defined]
    assert read.times == 100
    assert status(ours, get("/p99")) == 200
    assert status(ours, get("/nobody")) == 404
    assert read.times == 100
    ours.get("/new")(hello)
    ours.include_router(included := APIRouter())
    assert status(ours, get("/new")) == 200
    assert read.times == 101
    included.get("/newer")(hello)
    assert status(ours, get("/newer")) == 200
    read.times = 0
    assert status(ours, get("/newer")) == 200
    assert read.times == 0


@accelerated
def test_a_route_is_read_once_while_an_application_is_built(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("mine.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/mine')(lambda: 1)\n")
    read = Counted(monkeypatch, indexed_router, "shape_of")
    app = project.app()
    assert read.times == len(app.router.routes)


@accelerated
def test_the_index_is_there_before_the_first_request(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin(
        "mine.py",
        """
        from opa import Setup, get_router

        router = get_router()

        @router.get("/mine")
        async def mine():
            return "mine"

        class Later(Setup):
            def __init__(self, app):
                app.add_api_route("/later", mine)
        """,
    )
    app = project.app()
    read = Counted(monkeypatch, indexed_router, "shape_of")
    with TestClient(app) as client:
        assert read.times == 1
        assert client.get("/mine").json() == client.get("/later").json() == "mine"
        assert read.times == 1


def test_requests_are_answered_while_routes_come_and_go() -> None:
    _, ours = both_with_paths(*(f"/p{number}" for number in range(50)))
    included = APIRouter()
    ours.include_router(included)
    seen: Counter[int] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            seen[status(ours, get("/p49"))] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(30):
            ours.router.routes.insert(0, plain(f"/inserted/{number}"))
            assert status(ours, get(f"/inserted/{number}")) == 200
            ours.router.routes.append(plain(f"/appended/{number}"))
            assert status(ours, get(f"/appended/{number}")) == 200
            included.get(f"/included/{number}")(hello)
            assert status(ours, get(f"/included/{number}")) == 200
            del ours.router.routes[0]
            assert status(ours, get(f"/inserted/{number}")) == 404
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert list(seen) == [200]


def test_two_routers_may_have_one_list_of_routes() -> None:
    _, first = both_with_paths("/a")
    _, second = both_with_paths("/b")
    second.router.routes = first.router.routes
    for number in range(3):
        assert [status(app, get("/a")) for app in (first, second)] == [200, 200]
        first.router.routes.append(plain(f"/later/{number}"))
        assert [status(app, get(f"/later/{number}")) for app in (second, first)] == [200, 200]


def test_the_routes_of_an_included_router_are_no_longer_kept_when_they_are_taken_out() -> None:
    _, ours = both_with_paths("/stays")
    included = APIRouter()
    included.get("/goes")(hello)
    ours.include_router(included)
    is_kept = ref(ours.router.routes[-1])
    assert status(ours, get("/goes")) == 200
    ours.router.routes[:] = [route for route in ours.router.routes if getattr(route, "path", "") != "/goes"]
    assert status(ours, get("/goes")) == 404
    gc.collect()
    assert is_kept() is None


def test_an_included_router_is_followed_when_its_routes_were_away_for_a_while() -> None:
    _, ours = both_with_paths("/stays")
    included = APIRouter()
    included.get("/x")(hello)
    ours.include_router(included)
    there = list(ours.router.routes)
    ours.router.routes[:] = [plain("/maintenance")]
    gc.collect()
    assert status(ours, get("/x")) == 404
    ours.router.routes[:] = there
    assert status(ours, get("/x")) == 200
    included.get("/later")(hello)
    assert status(ours, get("/later")) == 200
    router = ours.router
    assert isinstance(router, IndexedRouter)
    assert {id(whose) for _, whose in router.routes_with_routers() if whose is not None} == {id(included)}

"""The document is built once, beside the event loop, and again when routes change."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from opa._compat.fastapi.inclusion import leaves
from opa.http.application import Api
from opa.http.openapi import cache as openapi_keeper
from opa.http.openapi.build import build
from opa.http.openapi.cache import DocumentKeeper
from opa.http.openapi.document import Document
from opa.http.openapi.problems import OpenApiError
from opa.http.openapi.state import Routes
from tests.http.accelerated import accelerated
from tests.project import Project

HELLO = """
from opa import get_router

router = get_router()


@router.get("/hello")
def hello() -> dict[str, int]:
    return {}
"""
ASKS = """
from opa import Setup

class Asks(Setup):
    def __init__(self, app):
        {}
"""
BROKEN = """
from collections.abc import Callable
from typing import Annotated

from fastapi import Body

from opa import get_router

router = get_router()


@router.post("/broken")
def broken(body: Annotated[Callable[[], int], Body()]) -> None: ...
"""


def paths_of(client: TestClient) -> list[str]:
    return list(client.get("/openapi.json").json()["paths"])


class Builds:
    """Counts how often a document is built, and where; it waits for `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()
        self._build = build
        monkeypatch.setattr(openapi_keeper, "build", self.build)

    def build(self, app: FastAPI) -> Document:
        self.threads.append(threading.get_ident())
        self.begun.set()
        assert self.go.wait(60)
        return self._build(app)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(monkeypatch)


@pytest.fixture
def app(project: Project) -> Api:
    project.plugin("hello.py", HELLO)
    return project.app()


def test_the_document_is_built_once_on_the_first_request(app: Api, builds: Builds) -> None:
    with TestClient(app) as client:
        assert builds.threads == []
        assert [paths_of(client) for _ in range(3)] == [["/hello"]] * 3
    assert len(builds.threads) == 1


def test_requests_during_the_build_get_its_result_and_the_event_loop_continues(app: Api, builds: Builds) -> None:
    builds.go.clear()

    async def ask() -> list[Document]:
        asked = [asyncio.create_task(app.document.document()) for _ in range(5)]
        left = asyncio.create_task(app.document.document())
        while not builds.begun.is_set():
            await asyncio.sleep(0.001)
        assert builds.threads != [threading.get_ident()]
        left.cancel()  # a client that leaves ends nothing
        builds.go.set()
        return await asyncio.gather(*asked)

    assert len({id(document) for document in asyncio.run(ask())}) == 1
    assert len(builds.threads) == 1


def a_route(app: FastAPI) -> None:
    app.add_api_route("/new", lambda: None)


def a_router(app: FastAPI) -> None:
    inner, outer = APIRouter(), APIRouter()
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer)
    inner.add_api_route("/new", lambda: None)


def a_list(app: FastAPI) -> None:
    app.router.routes = app.router.routes[:1]


def a_title(app: FastAPI) -> None:
    app.title = "New"


def a_webhook(app: FastAPI) -> None:
    app.webhooks.add_api_route("new", lambda: None)


def another_route_of_the_same_path_and_function(app: FastAPI) -> None:
    place, route = next(
        (place, route)
        for place, route in enumerate(app.routes)
        if isinstance(route, APIRoute) and route.include_in_schema
    )
    app.router.routes[place] = APIRoute(route.path, route.endpoint, methods=route.methods, summary="New")


CHANGES = [
    a_route,
    a_router,
    a_list,
    pytest.param(another_route_of_the_same_path_and_function, marks=accelerated),  # it stands in the list of all
    a_title,
    a_webhook,
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_document_is_rebuilt_when_something_has_changed(
    app: Api, builds: Builds, change: Callable[[FastAPI], None]
) -> None:
    with TestClient(app) as client:
        before = client.get("/openapi.json")
        change(app)
        after = [client.get("/openapi.json") for _ in range(2)]
        assert [answer.json() for answer in after] == [app.openapi()] * 2
        assert after[0].headers["etag"] != before.headers["etag"]
    assert len(builds.threads) == 2


def test_a_route_that_comes_to_an_included_router_later_is_seen(app: Api) -> None:
    inner, outer = APIRouter(), APIRouter()
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer)
    with TestClient(app) as client:
        assert paths_of(client) == ["/hello"]
        inner.add_api_route("/new", lambda: None)
        assert paths_of(client) == ["/hello", "/inner/new"]


def test_a_change_while_it_is_built_is_seen_by_the_next_who_asks(app: Api, builds: Builds) -> None:
    builds.go.clear()

    async def ask() -> tuple[Document, Document]:
        first = asyncio.create_task(app.document.document())
        while not builds.begun.is_set():
            await asyncio.sleep(0.001)
        app.title = "New"
        second = asyncio.create_task(app.document.document())
        await asyncio.sleep(0.01)
        assert len(builds.threads) == 1  # never two at once
        builds.go.set()
        return await first, await second

    _, second = asyncio.run(ask())
    assert b'"title":"New"' in bytes(second.body)


OWN = "app.openapi = lambda: {'openapi': '3.1.0', 'paths': {'/own': {}}}"
WRAPPED = """
        original = app.openapi
        def openapi():
            if not app.openapi_schema:
                original()["info"]["x-logo"] = "logo.png"
            return app.openapi_schema
        app.openapi = openapi
"""
EDITED = "app.openapi()['info']['x-logo'] = 'logo.png'"


@pytest.mark.parametrize("code", [OWN, WRAPPED, EDITED], ids=["own", "wrapped", "edited"])
def test_a_setup_may_change_it_in_the_ways_that_fastapi_tells_of(project: Project, code: str) -> None:
    project.plugin("hello.py", HELLO)
    project.plugin("asks.py", ASKS.format(code))
    app = project.app()
    with TestClient(app) as client:
        answers = [client.get("/openapi.json", headers={"accept-encoding": "identity"}) for _ in range(2)]
        assert [answer.json() for answer in answers] == [app.openapi()] * 2
        assert "own" in answers[0].text or "logo.png" in answers[0].text
        known = {"if-none-match": answers[0].headers["etag"]}
        assert client.get("/openapi.json", headers=known).status_code == 304


def test_a_custom_openapi_function_is_called_for_each_request_outside_the_event_loop(app: Api) -> None:
    threads: list[int] = []

    def openapi() -> dict[str, Any]:
        threads.append(threading.get_ident())
        return {"number": len(threads)}

    app.openapi = openapi  # type: ignore[method-assign]

    async def ask() -> list[bytes | memoryview]:
        return [(await app.document.document()).body for _ in range(2)]

    assert asyncio.run(ask()) == [b'{"number":1}', b'{"number":2}']
    assert threading.get_ident() not in threads


def test_a_schema_that_is_reset_is_rebuilt(app: Api) -> None:
    with TestClient(app) as client:
        app.openapi()["info"]["title"] = "Edited"
        assert client.get("/openapi.json").json()["info"]["title"] == "Edited"
        app.openapi_schema = None
        assert client.get("/openapi.json").json()["info"]["title"] == "opa-stack"


def paths_in(route: BaseRoute) -> list[str | None]:
    return [path for _, path in leaves([route])]


def test_a_route_that_cannot_be_described_is_500_with_its_name_and_in_the_log_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("broken.py", BROKEN)
    project.plugin("hello.py", HELLO)
    app = project.app()
    with TestClient(app) as client:
        for _ in range(3):
            answer = client.get("/openapi.json")
            assert answer.status_code == 500
            assert "cannot be built for the route POST /broken: Pydantic" in answer.json()["detail"]
        assert client.get("/hello").status_code == 200
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "cannot be built for the route" in line]
        assert "broken.py:12" in line
        app.router.routes[:] = [route for route in app.routes if "/broken" not in paths_in(route)]
        assert paths_of(client) == ["/hello"]


FAILS_AT_FIRST = """
from pydantic import BaseModel

from opa import get_router

router = get_router()
catalogue = []


class Item(BaseModel):
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema, handler):
        return {"enum": [catalogue[0]]}


@router.post("/item")
def item(item: Item) -> None: ...


@router.post("/catalogue")
def load() -> None:
    catalogue.append("lamp")
"""


def test_a_document_that_could_not_be_built_is_tried_again_after_a_pause(
    project: Project, builds: Builds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("fails.py", FAILS_AT_FIRST)
    with project.client() as client:
        assert [client.get("/openapi.json").status_code for _ in range(2)] == [500, 500]
        assert len(builds.threads) == 1  # not for each who asks
        monkeypatch.setattr(openapi_keeper, "RETRY_PAUSE", 0)
        assert client.get("/openapi.json").status_code == 500
        assert capsys.readouterr().err.count("cannot be built for the route POST /item: IndexError") == 1
        client.post("/catalogue")
        assert paths_of(client) == ["/item", "/catalogue"]


class Early:
    """A document that is there already, of an application as it was."""

    def __init__(self, app: FastAPI, document: Document | None) -> None:
        self.routes = Routes.from_app(app)
        self._document = document

    def wait(self, app: FastAPI) -> Document | None:
        if self._document is None:
            raise OpenApiError("it could not be built")
        return self._document


DOCUMENT = Document(b"{}", b"", 'W/"early"', [], None)


def test_a_document_that_was_built_early_is_served(app: Api, builds: Builds) -> None:
    app.document.early = Early(app, DOCUMENT)
    with TestClient(app) as client:
        assert [client.get("/openapi.json").headers["etag"] for _ in range(2)] == ['W/"early"'] * 2
        a_route(app)
        assert "/new" in paths_of(client)
    assert len(builds.threads) == 1


def test_a_document_that_was_built_early_of_other_routes_is_not_served(app: Api) -> None:
    app.document.early = Early(app, DOCUMENT)
    a_route(app)
    with TestClient(app) as client:
        assert "/new" in paths_of(client)


def test_a_document_that_could_not_be_built_early_is_built_in_this_process(app: Api) -> None:
    app.document.early = Early(app, None)
    with TestClient(app) as client:
        assert paths_of(client) == ["/hello"]


def test_a_root_path_gets_what_has_changed_too(app: Api) -> None:
    with TestClient(app, root_path="/api") as client:
        assert paths_of(client) == ["/hello"]
        a_route(app)
        assert paths_of(client) == ["/hello", "/new"]


def test_all_who_ask_below_a_root_path_get_the_same_one(app: Api) -> None:
    async def ask() -> list[Document]:
        return await asyncio.gather(*(app.document.document("/api") for _ in range(5)))

    assert len({id(document) for document in asyncio.run(ask())}) == 1


def test_the_switch_interval_and_the_collector_are_as_before() -> None:
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.004)
    try:
        asyncio.run(DocumentKeeper(FastAPI()).document())
        assert sys.getswitchinterval() == pytest.approx(0.004)
    finally:
        sys.setswitchinterval(before)
    assert gc.isenabled()
    assert gc.get_threshold() == thresholds

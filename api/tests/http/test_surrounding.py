from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.testclient import TestClient

from tests.project import Project

PLUGIN = """
from opa import RequestObserver, get_router, register
from starlette.middleware import Middleware

router = get_router()


class Reads:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        await self.app(scope, receive, send)


middleware = [Middleware(Reads)]


@router.get("/hello")
async def hello() -> str:
    return "hello"


@router.post("/hello")
async def post_hello() -> str:
    return "hello"


told = []


@register("request_observers")
class Hears(RequestObserver):
    def ended(self, scope, status, seconds, place, actor):
        told.append(status)


@router.get("/told")
async def all_told() -> list[int]:
    return told


@router.get("/broken/{number}")
def broken(number: int) -> None:
    raise ArithmeticError(number)
"""


class Watching:
    """What an agent puts around an application."""

    def __init__(self, app: Any, noted: list[Any]) -> None:
        self.app = app
        self.noted = noted

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.noted.append(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception as error:
            self.noted.append(error)
            raise


def around_class(noted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """As Datadog's."""
    build = FastAPI.build_middleware_stack
    monkeypatch.setattr(FastAPI, "build_middleware_stack", lambda app: Watching(build(app), noted))
    return lambda app: None


def around_class_without_a_trace(noted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """It does not say what is inside."""
    build = FastAPI.build_middleware_stack

    def build_closed(app: FastAPI) -> Any:
        watching = Watching(build(app), noted)

        async def closed(scope: Any, receive: Any, send: Any) -> None:
            await watching(scope, receive, send)

        return closed

    monkeypatch.setattr(FastAPI, "build_middleware_stack", build_closed)
    return lambda app: None


def inside_of_object(noted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """As OpenTelemetry's: it takes apart what was built, and builds another one."""

    def patch(app: Any) -> None:
        build = app.build_middleware_stack

        @functools.wraps(build)
        def rebuild() -> Any:
            built = build()
            assert isinstance(built, ServerErrorMiddleware)
            anew = ServerErrorMiddleware(built.app, built.handler, built.debug)
            return ServerErrorMiddleware(Watching(anew, noted))

        app.build_middleware_stack = rebuild

    return patch


def around_object_without_a_trace(noted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """It does not say what is inside, which has all of ours already."""

    def patch(app: Any) -> None:
        build = app.build_middleware_stack

        def build_closed() -> Any:
            watching = Watching(build(), noted)

            async def closed(scope: Any, receive: Any, send: Any) -> None:
                await watching(scope, receive, send)

            return closed

        app.build_middleware_stack = build_closed

    return patch


WITHOUT_A_TRACE = [around_class_without_a_trace, around_object_without_a_trace]
AGENTS = [around_class, inside_of_object, *WITHOUT_A_TRACE]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_around_the_middleware_takes_nothing_away(
    project: Project, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("shop.py", PLUGIN)
    project.settings(TRUSTED_HOSTS=["testserver"], REQUEST_ID=True, MAX_BODY_BYTES=100, ALLOW_ORIGINS=["https://a.b"])
    noted: list[Any] = []
    patch = agent(noted, monkeypatch)
    app = project.app()
    patch(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/hello").json() == "hello"
        assert noted.pop() == 200
        assert client.get("/hello", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("/hello", headers={"Origin": "https://a.b"}).headers["access-control-allow-origin"]
        refused = client.post("/hello", content="x" * 101)
        # Where it cannot be seen what is inside, Starlette answers what a middleware raises.
        assert refused.status_code == (500 if agent in WITHOUT_A_TRACE else 413)
        noted.clear()
        answer = client.get("/broken/7")
        assert (answer.status_code, bool(answer.headers["x-request-id"])) == (500, True)
        told = client.get("/told").json()
    assert told == [200, 400, 200, refused.status_code, 500]
    assert noted[0] == 500
    assert [type(error) for error in noted[1:-1]] == [ArithmeticError]


def test_an_agent_that_replaces_the_middleware_for_errors_hears_of_each_request_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Elastic's, which ends a transaction there, and New Relic's, which names one."""
    project.plugin("shop.py", PLUGIN)
    ended: list[object] = []
    call = ServerErrorMiddleware.__call__

    @functools.wraps(call)
    async def watching(self: Any, scope: Any, receive: Any, send: Any) -> None:
        error: object = None
        try:
            await call(self, scope, receive, send)
        except Exception as raised:
            error = type(raised)
            raise
        finally:
            if scope["type"] == "http":
                ended.append(error)

    monkeypatch.setattr(ServerErrorMiddleware, "__call__", watching)
    with TestClient(project.app(), raise_server_exceptions=False) as client:
        assert client.get("/hello").status_code == 200
        assert client.get("/broken/7").status_code == 500
    assert ended == [None, ArithmeticError]

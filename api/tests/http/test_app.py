from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient
from starlette.types import Message

from opa.core.state import state
from opa.errors import OpaError, RegistrationError
from opa.http.app import Api
from tests.project import Project

HELLO = """
from opa import get_router

router = get_router()

@router.get("/hello")
def hello():
    return "Hello"
"""


def start(app: Api) -> list[Message]:
    """What the application tells the server while it starts."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        with suppress(OpaError):
            await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(run())
    return sent


def test_a_router_in_a_plugin_is_served(project: Project) -> None:
    project.plugin("hello.py", HELLO)
    with project.client() as client:
        assert client.get("/hello").json() == "Hello"


def test_of_two_plugins_with_one_route_the_first_answers(project: Project) -> None:
    project.plugin("a.py", HELLO.replace('"Hello"', '"first"'))
    project.plugin("b.py", HELLO)
    with project.client() as client:
        assert client.get("/hello").json() == "first"


def test_a_router_that_another_plugin_imports_stands_once_in_the_schema(project: Project) -> None:
    project.plugin("a.py", HELLO)
    project.plugin("b.py", "from a import router")
    assert list(project.app().openapi()["paths"]) == ["/hello"]


def test_title_version_and_description_come_from_the_settings(project: Project) -> None:
    project.settings(PROJECT_NAME="Mine", PROJECT_VERSION="2.0", PROJECT_DESCRIPTION="About")
    info = project.app().openapi()["info"]
    assert info == {"title": "Mine", "version": "2.0", "description": "About"}


def test_the_middleware_of_plugins_runs_first_loaded_outermost(project: Project) -> None:
    text = """
        from starlette.middleware import Middleware

        class Note:
            def __init__(self, app, name):
                self.app, self.name = app, name
            async def __call__(self, scope, receive, send):
                scope.setdefault("names", []).append(self.name)
                await self.app(scope, receive, send)

        middleware = [Middleware(Note, name={0!r} + "1"), Middleware(Note, name={0!r} + "2")]
        """
    for name in "ab":
        project.plugin(f"{name}.py", text.format(name))
    project.plugin(
        "names.py",
        "from fastapi import Request\nfrom opa import get_router\nrouter = get_router()\n"
        '@router.get("/names")\ndef names(request: Request): return request.scope["names"]\n',
    )
    with project.client() as client:
        assert client.get("/names").json() == ["a1", "a2", "b1", "b2"]


def test_a_plugin_may_handle_exceptions(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from fastapi.responses import JSONResponse
        from opa import get_router

        router = get_router()

        class Teapot(Exception): pass

        @router.get("/tea")
        def tea(): raise Teapot

        exception_handlers = {Teapot: lambda request, error: JSONResponse("short and stout", 418)}
        """,
    )
    with project.client() as client:
        assert client.get("/tea").status_code == 418


@pytest.mark.parametrize("name", ["router", "middleware", "exception_handlers"])
def test_a_conventional_name_of_the_wrong_type_is_an_error_that_names_the_plugin(project: Project, name: str) -> None:
    file = project.plugin("a.py", f"{name} = 3")
    with pytest.raises(RegistrationError) as caught:
        project.app()
    assert str(caught.value).startswith(f"'{name}' of plugin 'a' is an int, not")
    assert str(file) in str(caught.value)


def test_an_item_of_middleware_of_the_wrong_type_is_named(project: Project) -> None:
    file = project.plugin(
        "a.py",
        "from starlette.middleware import Middleware\nfrom starlette.middleware.gzip import GZipMiddleware\n"
        "class Gate: ...\nmiddleware = [Middleware(GZipMiddleware), Gate]",
    )
    with pytest.raises(RegistrationError) as caught:
        project.app()
    assert str(caught.value) == (
        f"item 2 of 'middleware' of plugin 'a' is the class Gate, not a starlette.middleware.Middleware ({file})."
        " Write Middleware(Gate, …), with the class and its options"
    )


def test_a_mistake_at_start_reaches_the_server_as_one_line(project: Project) -> None:
    project.component("THING", "redis-aioredis", URL="redis://127.0.0.1:1")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.2)
    (message,) = start(project.app())
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("component 'thing' (driver redis-aioredis) did not connect within 0.2 s")
    assert "\n" not in message["message"]


def test_an_application_that_starts_and_stops_says_so(project: Project) -> None:
    assert [message["type"] for message in start(project.app())] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_one_application_can_be_started_again(project: Project) -> None:
    project.plugin("hello.py", HELLO)
    app = project.app()
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/hello").status_code == 200


LIFESPAN = """
    from contextlib import asynccontextmanager
    from fastapi import Request
    from opa import get_router, state

    @asynccontextmanager
    async def lifespan(app):
        state.setdefault("order", []).append("{0} starts")
        yield {{"who": "{0}", "{0}": app.title}}
        state["order"].append("{0} stops")

    router = get_router(lifespan=lifespan)

    @router.get("/{0}")
    def state_of(request: Request):
        return dict(request.state._state)
    """


@pytest.fixture
def order() -> Iterator[list[str]]:
    """What the lifespans of a test have noted."""
    noted: list[str] = []
    state["order"] = noted
    yield noted
    del state["order"]


def test_lifespans_of_routers_start_in_load_order_and_stop_in_reverse(project: Project, order: list[str]) -> None:
    for name in "ab":
        project.plugin(f"{name}.py", LIFESPAN.format(name))
    with project.client():
        assert order == ["a starts", "b starts"]
    assert order == ["a starts", "b starts", "b stops", "a stops"]


def test_what_the_lifespans_of_routers_give_is_the_state_of_requests(project: Project, order: list[str]) -> None:
    """Of two with one key the first counts, as in FastAPI."""
    project.settings(PROJECT_NAME="Mine")
    for name in "ab":
        project.plugin(f"{name}.py", LIFESPAN.format(name))
    with project.client() as client:
        assert client.get("/b").json() == {"who": "a", "a": "Mine", "b": "Mine"}


def test_the_lifespan_of_a_plugin_that_is_left_out_does_not_run(project: Project, order: list[str]) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    project.plugin("a.py", LIFESPAN.format("a"))
    project.plugin("b.py", LIFESPAN.format("b") + "\n    def ready(): raise ValueError\n")
    with project.client():
        assert order == ["a starts"]


def test_the_startup_handlers_of_a_router_run(project: Project, order: list[str]) -> None:
    project.plugin(
        "a.py",
        """
        from opa import get_router, state

        router = get_router(on_startup=[lambda: state["order"].append("starts")],
                            on_shutdown=[lambda: state["order"].append("stops")])
        """,
    )
    with project.client():
        assert order == ["starts"]
    assert order == ["starts", "stops"]


def test_the_number_of_routers_has_no_limit(project: Project) -> None:
    """FastAPI nests their lifespans, and no application with a thousand routers starts."""
    started = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started.append(True)
        yield

    app = project.app()
    for _ in range(2000):
        app.include_router(APIRouter(lifespan=lifespan))
    with TestClient(app):
        assert len(started) == 2000

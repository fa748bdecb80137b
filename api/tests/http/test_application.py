from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from opa import state
from tests.project import Project

HELLO = """
from opa import get_router

router = get_router()

@router.get("/hello")
def hello():
    return "Hello"
"""


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


def test_values_from_the_lifespans_of_routers_are_the_state_of_requests(project: Project, order: list[str]) -> None:
    """Of two with one key the first counts, as in FastAPI."""
    project.settings(PROJECT_NAME="Mine")
    for name in "ab":
        project.plugin(f"{name}.py", LIFESPAN.format(name))
    with project.client() as client:
        assert client.get("/b").json() == {"who": "a", "a": "Mine", "b": "Mine"}


def test_the_lifespan_of_a_plugin_that_is_skipped_does_not_run(project: Project, order: list[str]) -> None:
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


def test_a_server_that_asks_takes_it_for_an_application_of_asgi_3(project: Project) -> None:
    app: Any = project.app()
    config = uvicorn.Config(app)
    config.load()
    assert config.interface == "asgi3"
    assert inspect.iscoroutinefunction(app.__call__)

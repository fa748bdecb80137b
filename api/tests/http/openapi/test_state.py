from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from opa.http.openapi.state import Routes, fingerprint, plugins_get_the_application
from tests.project import Project


def app_with_routes() -> tuple[FastAPI, APIRoute]:
    app, inner, outer = FastAPI(), APIRouter(), APIRouter()

    @inner.get("/inner", tags=["a"])
    def inside() -> None: ...

    @app.get("/hello", responses={404: {}})
    def hello() -> None: ...

    outer.include_router(inner)
    app.include_router(outer)
    (route,) = [route for route in app.routes if isinstance(route, APIRoute) and route.path == "/hello"]
    return app, route


@pytest.mark.parametrize(
    "change",
    [
        lambda route: setattr(route, "operation_id", route.name),
        lambda route: setattr(route, "include_in_schema", False),
        lambda route: setattr(route, "summary", "New"),
        lambda route: route.tags.append("new"),
        lambda route: route.responses[404].update(description="New"),
        lambda route: route.dependant.dependencies.append(Depends()),
    ],
)
def test_a_route_that_is_changed_in_its_place_has_another_fingerprint(change: Callable[[Any], Any]) -> None:
    app, route = app_with_routes()
    before = fingerprint(app)
    assert fingerprint(app) == before
    change(route)
    assert Routes.from_app(app).are_those_of(app)
    assert fingerprint(app) != before


def test_a_route_in_an_included_router_counts_too() -> None:
    app, _ = app_with_routes()
    before = fingerprint(app)
    router: Any = next(route for route in app.routes if hasattr(route, "original_router"))
    router.original_router.routes[0].original_router.routes[0].tags.append("new")
    assert fingerprint(app) != before


GETS_IT = {
    "a setup": "from opa import Setup\nclass Asks(Setup):\n  def __init__(self, app): ...\n",
    "the run of a setup": "from opa import Setup\nclass Asks(Setup):\n  async def run(self, config, app): ...\n",
    "ready": "async def ready(app): ...\n",
    "the group startup": "from opa import register\n@register('startup')\ndef begin(app): ...\n",
    "a lifespan": "from opa import get_router\ndef begin(app): yield\nrouter = get_router(lifespan=begin)\n",
}
DOES_NOT = """
from opa import Setup, get_router

router = get_router()

class Asks(Setup):
    def __init__(self, pm, config): ...

def ready(): ...
def shutdown(pm): ...
"""


@pytest.mark.parametrize("code", GETS_IT.values(), ids=GETS_IT)
def test_a_plugin_gets_the_application(project: Project, code: str) -> None:
    project.plugin("asks.py", code)
    assert plugins_get_the_application(project.prepare())


def test_no_plugin_gets_the_application(project: Project) -> None:
    project.plugin("asks.py", DOES_NOT)
    assert not plugins_get_the_application(project.prepare())

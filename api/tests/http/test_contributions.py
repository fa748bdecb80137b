from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

from opa.http.application import Api
from tests.project import Project


def add_to(app: Api, plugin: str) -> None:
    """Add one of each kind, as `plugin`."""
    router = APIRouter()
    router.add_api_route(f"/{plugin}", lambda: 1 / 0)
    with app.contributed_by(plugin):
        app.include_router(router)
        app.append_middleware(Middleware(GZipMiddleware))
        app.add_exception_handler(ZeroDivisionError, lambda request, error: JSONResponse(None, 418))


def test_contributions_of_a_plugin_are_removed_with_it(project: Project) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    app = project.app()
    add_to(app, "mine")
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/mine").status_code == 418
    app.remove_contributions_of("mine")
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/mine").status_code == 404
    assert app.user_middleware == []
    assert ZeroDivisionError not in app.exception_handlers


def test_contributions_of_another_plugin_stay(project: Project) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    app = project.app()
    add_to(app, "mine")
    with app.contributed_by("other"):
        app.get("/other")(lambda: "still here")
    app.remove_contributions_of("mine")
    with TestClient(app) as client:
        assert client.get("/other").json() == "still here"

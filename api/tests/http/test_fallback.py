"""With an untested version of FastAPI, FastAPI finds and describes the routes, and all else stays."""

from __future__ import annotations

import fastapi
import pytest
from starlette.testclient import TestClient

from tests.http.accelerated import accelerated
from tests.project import Project

ROUTES = """
from fastapi import APIRouter
from opa import get_router

router = get_router()
inner = APIRouter(prefix="/inner")

@router.get("/{anything:path}")
async def everything(anything: str):
    return anything

@inner.get("/hello")
async def hello():
    return "hello"

router.include_router(inner)
"""
ITEMS = """
from opa import get_router

router = get_router()

@router.get("/items/{name}")
def item(name: str):
    return name

@router.get("/docs")
async def docs():
    return "my own"
"""

LIMITED = """
from fastapi import APIRouter
from opa import RateLimit, Requires, get_router

router = get_router()
inner = APIRouter(prefix="/limited")

@inner.get("/", dependencies=[RateLimit("5/minute")])
def limited(): ...

@inner.get("/closed", dependencies=[Requires("shop:read")])
def closed(): ...

router.include_router(inner)
"""


@pytest.fixture
def untested(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project under a version of FastAPI that nobody has tested."""
    monkeypatch.setattr(fastapi, "__version__", "0.999.0")
    return project


def test_the_fallback_is_one_line_of_the_log(untested: Project, capsys: pytest.CaptureFixture[str]) -> None:
    untested.app()
    lines = [line for line in capsys.readouterr().err.splitlines() if "0.999.0" in line]
    assert len(lines) == 1
    assert "FastAPI 0.999.0 is not one of the versions that opa-stack is tested with" in lines[0]


@accelerated
def test_tested_version_says_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.app()
    assert "FastAPI" not in capsys.readouterr().err


def test_routes_of_opa_stack_come_before_one_that_takes_every_path(untested: Project) -> None:
    untested.plugin("all.py", ROUTES)
    with untested.client() as client:
        assert client.get("/healthz").json() != "healthz"
        assert "swagger" in client.get("/docs").text
        assert client.get("/inner/hello").json() == "inner/hello"  # as FastAPI has it: the first route wins


def test_page_of_opa_stack_leaves_its_path_to_a_plugin(untested: Project) -> None:
    untested.plugin("items.py", ITEMS)
    with untested.client() as client:
        assert client.get("/docs").json() == "my own"


def test_method_that_a_route_does_not_have_is_405_with_those_that_it_has(untested: Project) -> None:
    untested.plugin("items.py", ITEMS)
    with untested.client() as client:
        answer = client.post("/items/one")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_document_has_an_entity_tag_and_hears_of_new_routes(untested: Project) -> None:
    untested.plugin("items.py", ITEMS)
    app = untested.app()
    with TestClient(app) as client:
        first = client.get("/openapi.json")
        assert client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
        app.add_api_route("/later", lambda: 1)
        second = client.get("/openapi.json")
    assert "/items/{name}" in first.json()["paths"]
    assert "/later" in second.json()["paths"]
    assert first.headers["etag"] != second.headers["etag"]


def test_document_is_the_same_as_with_a_tested_version(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("items.py", ITEMS)
    project.plugin("all.py", ROUTES)
    project.plugin("limited.py", LIMITED)
    found = []
    for version in (fastapi.__version__, "0.999.0"):
        monkeypatch.setattr(fastapi, "__version__", version)
        with project.client() as client:
            found.append(client.get("/openapi.json").json())
    assert "429" in found[0]["paths"]["/limited/"]["get"]["responses"]
    assert found[0] == found[1]

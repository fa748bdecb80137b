from __future__ import annotations

import pytest

from opa.checks.wider import routes_behind_wider_ones
from tests.project import Project

HEAD = "from fastapi import FastAPI, WebSocket\nfrom opa import get_router\nrouter = get_router()\n"


def told(project: Project, *routes: str) -> list[str]:
    code = "".join(f"@router.{route}\ndef r{number}(): ...\n" for number, route in enumerate(routes))
    project.plugin("a.py", HEAD + code)
    return [str(each).replace(str(project.plugins), "…") for each in routes_behind_wider_ones(project.app())]


def test_a_route_behind_a_wider_one_is_reported_with_what_to_do(project: Project) -> None:
    assert told(project, "get('/x/{id}')", "get('/x/all')") == [
        "GET /x/all of plugin 'a' is never reached, since /x/{id} (…/a.py:4) comes first and takes its path (…/a.py:6)."
        " Write it before the other"
    ]


@pytest.mark.parametrize(
    ("wider", "narrow"),
    [
        ("get('/{path:path}')", "get('/x/{id}')"),
        ("get('/x/{path:path}')", "get('/x/{id}/all')"),
        ("get('/x/{id}')", "get('/x/{id:int}')"),
        ("get('/x/{id}')", "get('/x/{id:uuid}')"),
        ("get('/x/{id:float}')", "get('/x/{id:int}')"),
        ("api_route('/x/{id}', methods=['GET', 'POST'])", "post('/x/new')"),
        ("get('/{a}/{b}')", "get('/x/{b}')"),
        ("websocket('/w/{id}')", "websocket('/w/all')"),
    ],
)
def test_a_hidden_route_is_reported_whatever_its_parameters_are(project: Project, wider: str, narrow: str) -> None:
    assert len(told(project, wider, narrow)) == 1
    assert told(project, narrow, wider) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("get('/x/{id:int}')", "get('/x/all')"),
        ("get('/x/{id:int}')", "get('/x/{id}')"),
        ("get('/x/{id}')", "post('/x/all')"),
        ("get('/x/{id}')", "api_route('/x/all', methods=['GET', 'POST'])"),
        ("get('/x/{id}')", "get('/x/{path:path}')"),
        ("get('/x/{id}')", "get('/x/{name}')"),  # the same path, of which the check of paths tells
        ("get('/x/{id}')", "websocket('/x/all')"),
        ("get('/x/{id}')", "get('/x/all/more')"),
        ("get('/{a}/x')", "get('/x/{b}')"),
    ],
)
def test_a_route_that_can_be_reached_is_not_reported(project: Project, first: str, second: str) -> None:
    assert told(project, first, second) == []


def test_a_mounted_application_hides_what_comes_after_it(project: Project) -> None:
    (line,) = told(project, "get('/before')", "get('/sub/x') if router.mount('/sub', FastAPI()) is None else 0")
    assert line.startswith("GET /sub/x of plugin 'a' is never reached, since what is mounted at /sub comes first")


def test_a_catch_all_of_another_plugin_is_named(project: Project) -> None:
    project.plugin("a_page.py", HEAD + "@router.get('/{path:path}')\ndef page(path): ...")
    project.plugin("b.py", HEAD + "@router.get('/b')\ndef b(): ...")
    (line,) = [str(each) for each in routes_behind_wider_ones(project.app())]
    assert "GET /b of plugin 'b' is never reached, since /{path:path} of plugin 'a_page'" in line

from __future__ import annotations

import pytest

from opa.checks.paths import shadowed_paths
from tests.project import Project

ROUTE = "from opa import get_router\nrouter = get_router()\n\n@router.{method}('{path}')\ndef answer(): pass\n"
TWO = ROUTE + "\n@router.{method2}('{path2}')\ndef second(): pass\n"


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in shadowed_paths(project.app())]


def test_two_plugins_with_a_path_are_told_both_with_their_places(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/x/{name}"))
    project.plugin("b.py", ROUTE.format(method="get", path="/x/{other}"))
    assert told(project) == [
        "GET /x/{other} of plugin 'b' is never reached, since plugin 'a', which is loaded before, has it too: "
        "…/a.py:4, as /x/{name} (…/b.py:4). Change or remove one of the paths"
    ]


def test_a_plugin_with_a_path_twice_is_reported(project: Project) -> None:
    project.plugin("a.py", TWO.format(method="post", path="/x", method2="post", path2="/x"))
    assert told(project) == [
        "POST /x of plugin 'a' is never reached, since it is defined twice there, first at …/a.py:4 (…/a.py:7). "
        "Change or remove one of the paths"
    ]


@pytest.mark.parametrize(
    ("method", "path", "path2"),
    [
        ("get", "/{a:str}", "/{b}"),
        ("get", "/{a:path}", "/{b:path}"),
        ("get", "/{a:int}/{b}/c", "/{c:int}/{d}/c"),
        ("websocket", "/x", "/x"),
    ],
)
def test_paths_that_differ_in_names_of_parameters_alone_are_the_same(
    project: Project, method: str, path: str, path2: str
) -> None:
    project.plugin("a.py", TWO.format(method=method, path=path, method2=method, path2=path2))
    assert len(told(project)) == 1


@pytest.mark.parametrize(
    ("method", "path", "method2", "path2"),
    [
        ("get", "/x", "post", "/x"),
        ("get", "/x", "get", "/x/"),
        ("get", "/x", "get", "/X"),
        ("get", "/{a}", "get", "/x"),
        ("get", "/x", "get", "/{a}"),
        ("get", "/{a}", "get", "/{a:int}"),
        ("get", "/{a-b}", "get", "/{c-b}"),
        ("get", "/x", "websocket", "/x"),
    ],
)
def test_paths_that_match_something_else_are_not_reported(
    project: Project, method: str, path: str, method2: str, path2: str
) -> None:
    project.plugin("a.py", TWO.format(method=method, path=path, method2=method2, path2=path2))
    assert told(project) == []


def test_the_prefixes_of_included_routers_count_and_the_plugin_that_includes_them_is_reported(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/in/x"))
    project.plugin("lib.py", "def make():\n    def answer(): pass\n    return answer\n")
    project.plugin(
        "b.py",
        """
        from lib import make
        from opa import get_router

        inner = get_router()
        inner.get("/x")(make())
        inner.get("/y")(make())
        router = get_router()
        router.include_router(inner, prefix="/in")
        """,
    )
    (line,) = told(project)
    assert line.startswith("GET /in/x of plugin 'b' is never reached, since plugin 'a',")


def test_only_the_methods_that_are_taken_are_reported(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/x"))
    project.plugin(
        "b.py",
        """
        from opa import get_router

        router = get_router()

        @router.api_route("/x", methods=["GET", "PUT"])
        def answer(): pass
        """,
    )
    (line,) = told(project)
    assert line.startswith("GET /x of plugin 'b'")


def test_a_route_at_the_path_of_a_health_route_is_reported(project: Project) -> None:
    project.settings(HEALTH_URL="/alive")
    project.plugin("a.py", ROUTE.format(method="get", path="/alive"))
    (line,) = told(project)
    assert line.startswith(
        "GET /alive of plugin 'a' is never reached, since opa-stack itself has it, by the setting HEALTH_URL"
    )


def test_the_path_of_a_health_route_on_another_port_is_free(project: Project) -> None:
    project.settings(OPERATING_PORT=9000)
    project.plugin("a.py", ROUTE.format(method="get", path="/healthz"))
    assert told(project) == []


def test_a_route_in_the_place_of_a_page_is_reported(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/docs"))
    (line,) = told(project)
    assert line.startswith(
        "GET /docs of opa-stack (setting DOCS_URL) is never reached, since plugin 'a', which is loaded before, has it"
    )


def test_two_settings_with_one_path_are_reported(project: Project) -> None:
    project.settings(DOCS_URL="/readyz")
    (line,) = told(project)
    assert "/readyz" in line
    assert "opa-stack itself has it, by the setting READY_URL" in line


def test_an_application_that_is_mounted_at_the_path_of_a_setting_is_reported(project: Project) -> None:
    project.plugin("a.py", "from fastapi import FastAPI\nfrom opa import get_router\nrouter = get_router()\n")
    project.plugin("b.py", "from a import router, FastAPI\nrouter.mount('/docs', FastAPI())\n")
    (line,) = told(project)
    assert line.startswith("what plugin 'a' mounts at /docs is not reached there, only below it")
    assert "DOCS_URL" in line


def test_a_route_for_every_path_hides_none_of_opa_stack(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/{path:path}"))
    assert told(project) == []


def test_the_path_of_the_openapi_document_is_taken(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/openapi.json"))
    (line,) = told(project)
    assert "GET /openapi.json of plugin 'a' is never reached, since opa-stack itself has it, by the setting" in line


def test_one_function_twice_is_not_reported(project: Project) -> None:
    project.plugin("a.py", ROUTE.format(method="get", path="/x") + "router.get('/x')(answer)\n")
    project.plugin("b.py", "from a import router, answer\nrouter.get('/x')(answer)\n")
    assert told(project) == []


def test_a_route_that_looks_at_more_than_the_path_shadows_none(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from fastapi.routing import APIRoute
        from starlette.routing import Match
        from opa import get_router

        class Sometimes(APIRoute):
            def matches(self, scope):
                return (Match.NONE, {}) if scope["query_string"] else super().matches(scope)

        router = get_router(route_class=Sometimes)
        router.get("/x")(lambda: "a")
        """,
    )
    project.plugin("b.py", ROUTE.format(method="get", path="/x"))
    assert told(project) == []
    project.plugin("c.py", ROUTE.format(method="get", path="/x"))
    (line,) = told(project)
    assert line.startswith("GET /x of plugin 'c' is never reached, since plugin 'b',")

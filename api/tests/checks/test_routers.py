from __future__ import annotations

from textwrap import dedent

import pytest

from opa.checks.code import Code
from opa.checks.routers import unserved_routers
from tests.project import Project

API = """
from fastapi import APIRouter, FastAPI
from opa import Setup, get_router

api = get_router()

@api.get("/x")
def answer(): pass

"""


def told(project: Project) -> list[str]:
    app = project.app()
    mistakes = unserved_routers(app, Code(app.manager))
    return [str(mistake).replace(str(project.plugins), "…") for mistake in mistakes]


@pytest.mark.parametrize("made", ["get_router()", "APIRouter(prefix='/in')"])
def test_a_router_of_another_name_is_reported_with_plugin_place_and_what_to_do(project: Project, made: str) -> None:
    project.plugin("a.py", API.replace("get_router()", made) + "api.post('/y')(answer)\n")
    path = "/in/x" if "prefix" in made else "/x"
    assert told(project) == [
        f"plugin 'a' has routes in 'api' that are in no application: GET {path} and 1 more (…/a.py:7). Only the router "
        "of the name 'router' at the top of a plugin is served: rename this one, or write router.include_router(api)"
    ]


def test_a_second_router_that_is_not_included_is_reported(project: Project) -> None:
    project.plugin("a.py", API + "router = get_router()\nrouter.get('/y')(lambda: 1)\n")
    (line,) = told(project)
    assert "'api'" in line


def test_a_router_in_another_file_of_a_package_is_reported_once(project: Project) -> None:
    project.plugin("a/__init__.py", "from a.routes import api\n__all__ = ['api']\n")
    project.plugin("a/routes.py", API)
    (line,) = told(project)
    assert line.startswith("plugin 'a' has routes in 'api'")
    assert "(…/a/routes.py:7)" in line


@pytest.mark.parametrize("rest", ["", "if __name__ == '__main__':\n    import uvicorn\n    uvicorn.run(api)\n"])
def test_an_application_that_nothing_serves_is_reported_with_its_own_routes(project: Project, rest: str) -> None:
    project.plugin("shop.py", API.replace("get_router()", "FastAPI()") + rest)
    assert told(project) == [
        "plugin 'shop' has the application 'api', which nothing serves: GET /x (…/shop.py:7). Only the router of the "
        "name 'router' at the top of a plugin is served: make this one a get_router() of that name, or mount it: "
        "router.mount('/shop', api)"
    ]


@pytest.mark.parametrize(
    "rest",
    [
        "router = get_router()\nrouter.mount('/shop', api)",
        "class Later(Setup):\n    def __init__(self, app):\n        app.mount('/shop', api)",
        "def client():\n    return httpx.AsyncClient(transport=httpx.ASGITransport(api))",
        "api = FastAPI()",
        "router = get_router()\nrouter.mount('/shop', api)\napi.mount('/again', api)",
    ],
)
def test_an_application_that_is_served_handed_on_or_empty_is_not_reported(project: Project, rest: str) -> None:
    project.plugin("shop.py", API.replace("get_router()", "FastAPI()", 1) + rest)
    assert told(project) == []


@pytest.mark.parametrize(
    "rest",
    [
        "router = api",
        "router = get_router()\nrouter.include_router(api)",
        "router = get_router()\nouter = get_router()\nouter.include_router(api)\nrouter.include_router(outer)",
        "router = get_router()\nrouter.mount('/in', api)",
        "inner = FastAPI()\ninner.include_router(api)\nrouter = get_router()\nrouter.mount('/in', inner)",
        "router = get_router()\nrouter.routes.extend(api.routes)",
        "router = get_router()\nfor route in api.routes:\n    router.get('/y' + route.path)(route.endpoint)",
        "router = get_router()\nif False:\n    router.include_router(api)",
        "class Later(Setup):\n    def __init__(self, app):\n        app.include_router(api)",
        "def ready(app):\n    app.include_router(api, prefix='/later')",
        "class Later(Setup):\n    def __init__(self, app):\n        app.router.routes.extend(api.routes)",
        "def routers():\n    return [api]",
    ],
)
def test_a_router_that_is_served_or_handed_on_is_not_reported(project: Project, rest: str) -> None:
    project.plugin("a.py", API + dedent(rest))
    assert told(project) == []


@pytest.mark.parametrize(
    "serve",
    [
        "router.include_router(found)",
        "found.matches = lambda scope: APIRouter.matches(found, scope)\nrouter.include_router(found)",
        "router.mount('/in', found)",
        "router.mount('/in', GZipMiddleware(found))",
        "router.routes.append(Host('in.example', found))",
    ],
)
def test_a_router_that_is_served_without_its_name_is_not_reported(project: Project, serve: str) -> None:
    project.plugin(
        "a.py",
        API
        + "from starlette.middleware.gzip import GZipMiddleware\nfrom starlette.routing import Host\n"
        + "found = next(value for value in list(globals().values()) if isinstance(value, APIRouter))\n"
        + f"router = get_router()\n{serve}\ndel found\n",
    )
    assert told(project) == []


@pytest.mark.parametrize(
    "other",
    [
        "from a import api\nfrom opa import get_router\nrouter = get_router()\nrouter.include_router(api)",
        "from a import api as theirs\nfrom opa import Setup\nclass Later(Setup):\n"
        "    def __init__(self, app):\n        app.include_router(theirs)",
        "import a\nfrom opa import Setup\nclass Later(Setup):\n    def __init__(self, app):\n"
        "        app.include_router(a.api)",
    ],
)
def test_another_plugin_may_serve_it(project: Project, other: str) -> None:
    project.plugin("a.py", API)
    project.plugin("b.py", other)
    assert told(project) == []


def test_a_router_in_a_group_is_not_reported(project: Project) -> None:
    project.plugin("a.py", API)
    project.settings(PLUGINS={"routers": ["a.api"]})
    assert told(project) == []


@pytest.mark.parametrize(
    "text",
    [
        API.replace("api =", "_api =").replace("@api", "@_api"),
        "from opa import get_router\napi = get_router()\n",
        "from opa import get_router\nrouter = get_router()\nrouter.get('/x')(lambda: 1)\n",
        "from fastapi import APIRouter\n",
    ],
)
def test_private_routers_and_those_without_routes_are_not_reported(project: Project, text: str) -> None:
    project.plugin("a.py", text)
    assert told(project) == []


def test_a_plugin_that_is_skipped_has_no_routes_to_be_served(project: Project) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    project.plugin("a.py", API + "import opa\nclass stray(opa.Hook):\n    def run(self): pass\n")
    assert told(project) == []


@pytest.mark.parametrize("helper", ["", "from shop.parts import prices\n"])
def test_a_folder_without_code_beside_it_hides_nothing(project: Project, helper: str) -> None:
    project.plugin("shop/__init__.py", helper + API)
    project.plugin("shop/parts/prices.py")
    assert len(told(project)) == 1

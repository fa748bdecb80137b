from __future__ import annotations

import pytest

from opa.errors import RegistrationError
from tests.project import Project

HELLO = """
from opa import get_router

router = get_router()

@router.get("/hello")
def hello():
    return "Hello"
"""


def test_a_router_in_a_plugin_is_served(project: Project) -> None:
    project.plugin("hello.py", HELLO)
    with project.client() as client:
        assert client.get("/hello").json() == "Hello"


def test_a_router_that_mounts_at_the_root_is_refused_with_the_way_that_works(project: Project) -> None:
    spa = "from fastapi.staticfiles import StaticFiles\nfrom opa import {name}\n\n{mount}\n"
    files = 'StaticFiles(directory="plugins", html=True)'
    mount = f'router = get_router()\nrouter.mount("/", {files})'
    file = project.plugin("spa.py", spa.format(name="get_router", mount=mount))
    with pytest.raises(RegistrationError, match=r'Mount it at a path such as "/app", or in a Setup: app.mount\("/"'):
        project.app()
    (file.parent / "index.html").write_text("a page")
    mount = f'class Pages(Setup):\n    def __init__(self, app):\n        app.mount("/", {files})'
    project.plugin("spa.py", spa.format(name="Setup", mount=mount))
    with project.client() as client:
        assert client.get("/").text == "a page"
        assert client.get("/healthz").json() == {"status": "ok"}


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

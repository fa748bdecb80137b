from __future__ import annotations

import json
from typing import Any

import pytest

from opa.errors import RegistrationError, SettingsError
from opa.http.openapi.build import build
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


def test_the_document_says_of_the_api_what_the_settings_do(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.settings(
        PROJECT_NAME="Mine",
        PROJECT_SUMMARY="Orders and bills",
        PROJECT_TERMS_OF_SERVICE="https://shop.example.org/terms",
        PROJECT_CONTACT={"name": "Ada", "EMAIL": "ada@example.org"},
        PROJECT_LICENSE={"NAME": "Apache 2.0", "IDENTIFIER": "Apache-2.0"},
        PROJECT_TAGS=[{"NAME": "orders", "DESCRIPTION": "*All*", "URL": "https://x.org/"}, {"name": "bills"}],
    )
    document = json.loads(bytes(build(project.app()).body))
    assert document["info"] == {
        "title": "Mine",
        "version": "0.1.0",
        "summary": "Orders and bills",
        "termsOfService": "https://shop.example.org/terms",
        "contact": {"name": "Ada", "email": "ada@example.org"},
        "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    }
    orders = {"name": "orders", "description": "*All*", "externalDocs": {"url": "https://x.org/"}}
    assert document["tags"] == [orders, {"name": "bills"}]
    assert "email-validator" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"PROJECT_CONTACT": {"EMAIL": "ada"}}, "PROJECT_CONTACT.EMAIL: .*should be an address"),
        ({"PROJECT_CONTACT": {"URL": "javascript:x"}}, "PROJECT_CONTACT.URL: .*should be a URL with https://"),
        (
            {"PROJECT_CONTACT": {"EMAIL": "Ada <ada@example.org>"}},
            "PROJECT_CONTACT.EMAIL: .*should be an address alone",
        ),
        (
            {"PROJECT_CONTACT": {"URL": "https://ada:bread@x.org/"}},
            'ada:.{3}@x.org/", should have no user and no password',
        ),
        ({"PROJECT_LICENSE": {"NAME": "a", "URL": "https://1.2.3.400/"}}, "PROJECT_LICENSE.URL: .*the name of a host"),
        ({"PROJECT_TAGS": [{"NAME": "a", "URL": "https://a<b.org/"}]}, "PROJECT_TAGS.0.URL: .*the name of a host"),
        ({"PROJECT_CONTACT": {"PHONE": "1"}}, "PROJECT_CONTACT.PHONE: is not a key"),
        ({"PROJECT_CONTACT": "ada"}, "PROJECT_CONTACT: should be a mapping"),
        ({"PROJECT_LICENSE": {"IDENTIFIER": "MIT"}}, "PROJECT_LICENSE: .*should have NAME"),
        ({"PROJECT_LICENSE": {"NAME": "a", "IDENTIFIER": "MIT", "URL": "https://x.org"}}, "IDENTIFIER or URL"),
        ({"PROJECT_TERMS_OF_SERVICE": "terms.html"}, "PROJECT_TERMS_OF_SERVICE: .*should be a URL"),
        ({"PROJECT_TAGS": [{"DESCRIPTION": "a"}]}, "PROJECT_TAGS.0.NAME: is missing"),
        ({"PROJECT_SUMMARY": "half \ud800"}, "PROJECT_SUMMARY: .*should be text in UTF-8"),
        ({"PROJECT_ID": "half \ud800"}, "PROJECT_ID: .*should be text in UTF-8"),
        ({"PROJECT_TAGS": [{"NAME": "\udfff"}]}, "PROJECT_TAGS.0.NAME: .*should be text in UTF-8"),
        ({"PROJECT_TAGS": [{"NAME": "a"}, {"NAME": "a"}]}, "PROJECT_TAGS: .*should have each NAME once"),
        ({"PROJECT_TAGS": ["orders"]}, "PROJECT_TAGS.0: should be a mapping"),
    ],
)
def test_what_the_settings_cannot_say_of_the_api_is_a_mistake(
    project: Project, settings: dict[str, Any], told: str
) -> None:
    project.settings(**settings)
    with pytest.raises(SettingsError, match=told):
        project.prepare()


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
        from functools import wraps
        from fastapi.responses import JSONResponse
        from opa import get_router

        router = get_router()

        class Teapot(Exception): pass

        @router.get("/tea")
        def tea(): raise Teapot

        @router.get("/key")
        def key(): raise KeyError

        async def handle(request, error): return JSONResponse("short and stout", 418)

        @wraps(handle)
        def wrapped(*arguments): return handle(*arguments)

        exception_handlers = {
            Teapot: lambda request, error: JSONResponse("short and stout", 418),
            KeyError: wrapped,
        }
        """,
    )
    with project.client() as client:
        assert client.get("/tea").status_code == 418
        assert client.get("/key").status_code == 418  # its handler is an `async def` behind a decorator


@pytest.mark.parametrize("name", ["router", "middleware", "exception_handlers"])
def test_a_conventional_name_of_the_wrong_type_is_an_error_that_names_the_plugin(project: Project, name: str) -> None:
    file = project.plugin("a.py", f"{name} = 3")
    with pytest.raises(RegistrationError) as caught:
        project.app()
    assert str(caught.value).startswith(f"'{name}' of plugin 'a' is an int, not")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("item", "hint"),
    [
        ("'starlette.middleware.gzip.GZipMiddleware'", r"is a str, .*Write Middleware\(…\), with"),
        ("gate", r"is a function, .*Write Middleware\(BaseHTTPMiddleware, dispatch=gate\), with"),
    ],
)
def test_what_to_write_in_the_place_of_an_item_is_told(project: Project, item: str, hint: str) -> None:
    project.plugin("a.py", f"async def gate(request, call_next): ...\nmiddleware = [{item}]")
    with pytest.raises(RegistrationError, match=hint):
        project.app()


def test_an_exception_handler_that_takes_no_request_and_error_is_an_error_with_its_place(project: Project) -> None:
    file = project.plugin("a.py", "def on_key(error): ...\nexception_handlers = {KeyError: on_key}")
    with pytest.raises(RegistrationError, match=rf"of plugin 'a' has a handler of .* \({file}:1\)"):
        project.app()


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

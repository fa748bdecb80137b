from __future__ import annotations

import pytest

from opa.checks.code import Code
from opa.checks.middleware import unused_middleware
from tests.project import Project

HEAD = (
    "from starlette.middleware import Middleware\nfrom starlette.middleware.base import BaseHTTPMiddleware\n"
    "from opa import BaseMiddleware, Setup, register\n"
)


def told(project: Project, code: str) -> list[str]:
    project.plugin("a.py", HEAD + code)
    app = project.app()
    return [str(each).replace(str(project.plugins), "…") for each in unused_middleware(app, Code(app.manager))]


@pytest.mark.parametrize("base", ["BaseMiddleware", "BaseHTTPMiddleware"])
def test_a_middleware_that_nothing_adds_is_reported_with_what_to_do(project: Project, base: str) -> None:
    assert told(project, f"class Gate({base}): ...") == [
        "middleware Gate of plugin 'a' is in no application (…/a.py:4). Add it: middleware = [Middleware(Gate)], or"
        " name it in the setting MIDDLEWARE; a base class of your own has a name with a leading underscore"
    ]


@pytest.mark.parametrize(
    "code",
    [
        "class Gate(BaseMiddleware): ...\nmiddleware = [Middleware(Gate)]",
        "@register('middleware')\nclass Gate(BaseMiddleware): ...",
        "class Gate(BaseMiddleware): ...\nclass S(Setup):\n    def __init__(self, app): app.add_middleware(Gate)",
        "class _Gate(BaseMiddleware): ...",
        "class Gate(BaseMiddleware): ...\nclass _Other(Gate): ...",
    ],
)
def test_middleware_in_use_is_not_reported(project: Project, code: str) -> None:
    assert told(project, code) == []


def test_middleware_of_the_settings_is_not_reported(project: Project) -> None:
    project.settings(MIDDLEWARE=["a.Gate"])
    assert told(project, "class Gate(BaseMiddleware): ...") == []

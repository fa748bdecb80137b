from __future__ import annotations

import pytest

from opa.checks.code import Code
from opa.checks.decorators import decorators_without_parentheses
from tests.project import Project

HEAD = "from fastapi import APIRouter, FastAPI\nfrom opa import get_router, register\nrouter = get_router()\n"


def told(project: Project, code: str) -> list[str]:
    project.plugin("a.py", HEAD + code)
    code_of_plugins = Code(project.prepare())
    return [str(each).replace(str(project.plugins), "…") for each in decorators_without_parentheses(code_of_plugins)]


@pytest.mark.parametrize(
    "decorator", ["router.get", "router.post", "router.websocket", "register", "APIRouter().get", "FastAPI().get"]
)
def test_a_decorator_without_parentheses_is_reported(project: Project, decorator: str) -> None:
    (line,) = told(project, f"@{decorator}\ndef hello(): ...")
    assert line.startswith("hello() of plugin 'a' is below a decorator without parentheses, and does nothing (…")


def test_the_error_says_what_to_write(project: Project) -> None:
    (line,) = told(project, "@router.get\ndef hello(): ...")
    assert line.endswith('Write what the decorator asks for, such as @router.get("/hello")')


@pytest.mark.parametrize(
    "code",
    [
        "@router.get('/x')\ndef hello(): ...",
        "get = router.get('/x')\n@get\ndef hello(): ...",
        "import functools\n@functools.wraps(print)\ndef hello(): ...",
        "from opa import task\n@task\ndef hello(): ...",
    ],
)
def test_other_decorators_are_not_reported(project: Project, code: str) -> None:
    assert told(project, code) == []

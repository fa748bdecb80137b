from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from opa.cli.commands import app
from tests.project import Project


def plugins(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    result = CliRunner().invoke(app, ["plugins", "--json"], catch_exceptions=False)
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_opa_plugins_shows_what_a_plugin_provides(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.plugin(
        "all.py",
        """
        from starlette.middleware import Middleware
        from opa import Driver, Hook, HookDefinition, Setup, get_router
        router = get_router()
        router.get("/a")(lambda: 1)
        class name(HookDefinition): pass
        class Fill(Hook):
            name = "name"
            order = 3
            def run(self): ...
        class Mine(Driver):
            name = "mine"
        class Do(Setup): pass
        class Through:
            def __init__(self, app):
                self.app = app
        middleware = [Middleware(Through)]
        """,
    )
    row = plugins(capsys)["all"]
    assert row["status"] == "loaded"
    assert row["file"] == str(project.plugins / "all.py")
    assert row["provides"] == [
        "hook definition name",
        "hook name (order 3)",
        "driver mine",
        "setup Do",
        "middleware Through",
        "GET /a",
    ]


def test_opa_plugins_says_why_a_plugin_is_skipped(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.plugin("out.py", "raise RuntimeError('is not even imported')")
    project.settings(PLUGIN_BLACKLIST_LIST=["plugins/out"])
    row = plugins(capsys)["out"]
    assert row["status"] == "skipped"
    assert row["reasons"] == ["in PLUGIN_BLACKLIST_LIST"]


def test_opa_plugins_says_which_plugins_of_the_same_name_are_hidden(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("same.py")
    hidden = project.plugin("same.py", folder="more")
    project.settings(PLUGIN_PATHS=["plugins", "more"])
    assert plugins(capsys)["same"]["hides"] == [str(hidden)]


def test_the_built_in_plugins_come_last(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.plugin("zzz.py")
    built_in = [row["built_in"] for row in plugins(capsys).values()]
    assert built_in == sorted(built_in)
    assert True in built_in


def shown(*options: str) -> list[str]:
    return CliRunner().invoke(app, ["plugins", *options], catch_exceptions=False).stdout.splitlines()


def test_the_projects_plugins_are_shown_with_paths_from_the_project_on(project: Project) -> None:
    project.plugin("hello.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/a')(lambda: 1)\n")
    project.plugin("out.py")
    project.settings(PLUGIN_BLACKLIST_LIST=["plugins/out"])

    *lines, others = shown()

    assert lines == [
        "hello  loaded  plugins/hello.py",
        "    GET /a",
        "out  skipped  plugins/out.py",
        "    in PLUGIN_BLACKLIST_LIST",
    ]
    assert others.endswith("that come with opa-stack, which --all shows")


def test_all_shows_those_that_come_with_opa_stack(project: Project) -> None:
    project.plugin("hello.py")

    lines = shown("--all")

    assert any(line.startswith("core_health  loaded  ") for line in lines)
    assert not any("--all" in line for line in lines)


def test_without_plugins_of_the_users_it_says_so(project: Project) -> None:
    assert shown()[0] == "no plugins of yours"


def test_opa_plugins_cuts_no_line(project: Project) -> None:
    file = project.plugin(f"{'long_' * 20}/__init__.py")
    assert str(file.relative_to(project.folder)) in "\n".join(shown())

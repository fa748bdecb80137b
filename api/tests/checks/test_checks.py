"""Which checks there are, and where their findings are reported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import opa.checks
from opa.checks import findings_in_application, findings_in_plugins
from opa.checks.components import mistakes_at_start
from tests import programs
from tests.examples.examples import EXAMPLES
from tests.project import Project

CHECK = re.compile(r"^def ([a-z]\w*)\([^)]*\) -> Iterator\[Finding\]:", re.MULTILINE)

IN_PLUGINS = {
    "a.py": "from opa import get_router, task\n\napi = get_router()\napi.get('/x')(lambda: 1)\n",
    "b/routes.py": "",
    "c.py": "from opa import task\n\n@task(retires=3)\ndef build(): pass\n",
}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "ENV"}
    return programs.run([sys.executable, *command], env=environ | {"OPA_LOG_FORMAT": "text"} | variables)


def test_each_check_is_called() -> None:
    home = Path(opa.checks.__file__)
    checks = [name for file in home.parent.glob("*.py") if file != home for name in CHECK.findall(file.read_text())]
    assert len(checks) > 20
    forgotten = [name for name in checks if f"{name}(" not in home.read_text()]
    assert forgotten == [], "checks/__init__.py does not call these"


@pytest.fixture
def mistaken(project: Project) -> Project:
    """A project with a mistake of each kind that can be told of the plugins, and one in the application."""
    for name, text in IN_PLUGINS.items():
        project.plugin(name, text)
    project.settings(PLUGIN_BLACKLIST_LIST=["hello"])
    return project


PARTS_OF_PLUGINS = ["folder 'b' is not a plugin", "PLUGIN_BLACKLIST_LIST has 'hello'", "has the option 'retires'"]
PART_OF_APPLICATION = "plugin 'a' has routes in 'api'"


def test_opa_check_has_a_line_for_each_and_is_content(mistaken: Project) -> None:
    done = run("-m", "opa.cli", "check")
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    for line, part in zip(lines, [*PARTS_OF_PLUGINS, PART_OF_APPLICATION], strict=True):
        assert part in line
    assert done.stdout.startswith("ok: ")
    assert done.stdout.endswith("; 4 warnings\n")


def test_opa_check_tells_them_also_where_the_log_has_errors_alone(mistaken: Project) -> None:
    assert run("-m", "opa.cli", "check", OPA_LOGLEVEL="error").stderr.count("warning: ") == 4


@pytest.mark.parametrize(("env", "parts"), [("dev", 4), ("staging,dev", 4), ("staging", 3), ("", 3)])
def test_the_start_of_the_api_logs_them_and_looks_at_routes_in_development_alone(
    mistaken: Project, env: str, parts: int
) -> None:
    program = "from opa.main import start_api; start_api()"
    done = run("-c", program, ENV=env, OPA_LOGLEVEL="warning", OPA_PLUGIN_PATHS=str(mistaken.plugins))
    assert done.returncode == 0, done.stderr
    for part in [*PARTS_OF_PLUGINS, PART_OF_APPLICATION][:parts]:
        assert part in done.stderr
    assert done.stderr.count("WARNING") == parts


def test_the_start_of_a_worker_logs_those_of_the_plugins(mistaken: Project) -> None:
    mistaken.component("CELERY", "celery", load="no", BROKER_URL="redis://", BACKEND_URL="redis://")
    done = run("-m", "opa.cli", "start", MODE="worker", OPA_LOGLEVEL="warning")
    for part in PARTS_OF_PLUGINS:
        assert part in done.stderr
    assert PART_OF_APPLICATION not in done.stderr


SETUP = """
from typing import Annotated
from opa import Component, Setup, get_router

router = get_router()
router.get("/x")(lambda: 1)

class Made(Setup):
    def __init__(self, redis: Annotated[object, Component("nowhere")]): pass
"""

# Where the route stayed, the document could not be built.
UNDESCRIBED = """
from collections.abc import Callable
from fastapi import Body

@router.post("/call")
def call(body: Annotated[Callable[[], int], Body()]) -> None: ...
"""


def test_a_setup_without_its_component_is_an_error_as_it_is_at_the_start(project: Project) -> None:
    project.plugin("a.py", SETUP)
    done = run("-m", "opa.cli", "check")
    assert done.returncode == 1
    assert done.stderr.startswith("error: setup Made of plugin 'a' asks for the component 'nowhere'")


def test_opa_check_skips_a_plugin_that_may_be_skipped_as_a_start_does(project: Project) -> None:
    project.plugin("a.py", SETUP + UNDESCRIBED)
    project.settings(PLUGIN_FAILURE="skip")
    done = run("-m", "opa.cli", "check")
    assert done.returncode == 0
    assert "plugin 'a' is skipped: setup Made of plugin 'a' asks for the component 'nowhere'" in done.stderr


@pytest.mark.parametrize(
    "plugins",
    [*(str(example / "plugins") for example in EXAMPLES), "opa:demo-plugins"],
    ids=lambda path: Path(path).parent.name or path,
)
def test_the_examples_and_the_demo_plugins_have_none(project: Project, plugins: str) -> None:
    project.settings(PLUGIN_PATHS=[plugins])
    app = project.app()
    assert [*findings_in_plugins(app.manager), *findings_in_application(app)] == []
    assert list(mistakes_at_start(app.manager)) == []

"""What a user sees who makes one of the mistakes: one clear line first, and an exit status that is not 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import programs
from tests.project import Project

UNDESCRIBED = """
from collections.abc import Callable
from typing import Annotated

from fastapi import Body

from opa import get_router

router = get_router()

@router.post("/call")
def call(body: Annotated[Callable[[], int], Body()]) -> None: ...
"""
TOLD_AT_EXIT = """
import atexit
import sys

atexit.register(lambda: print("celery imported:", "celery" in sys.modules))
"""
HOOK = "from opa import Hook\nclass h(Hook):\n  def run(self): pass\n"
DEFINITION = "from opa import HookDefinition\nclass h(HookDefinition):\n  {}\n"


def check(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `opa check` in the current folder."""
    return programs.run([sys.executable, "-m", "opa.cli", "check", *options], env=os.environ | variables)


@pytest.mark.parametrize("command", ["check", "plugins"])
@pytest.mark.parametrize(("text", "is_imported"), [("", False), ("from opa import task\n@task\ndef noop(): ...", True)])
def test_celery_is_imported_where_a_plugin_has_a_task(
    project: Project, command: str, text: str, is_imported: bool
) -> None:
    project.plugin("hello.py", f"{TOLD_AT_EXIT}\n{text}")
    result = programs.run([sys.executable, "-m", "opa.cli", command], fresh=True)
    assert result.returncode == 0, result.stderr
    assert f"celery imported: {is_imported}" in result.stdout


def test_a_project_without_mistakes_is_ok(project: Project) -> None:
    project.plugin("hello.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/hello')(print)")
    project.plugin("util.py", "")
    result = check()
    assert result.returncode == 0
    assert result.stdout == "ok: 2 plugins loaded (hello, util); 1 route, 0 tasks\n"


@pytest.mark.parametrize(
    ("files", "first_line"),
    [
        ({"a.py": "import jsom"}, "plugin 'a' does not import: ModuleNotFoundError: No module named 'jsom' (…/a.py:1)"),
        ({"a.py": "def f(:"}, "plugin 'a' does not import: SyntaxError: invalid syntax (…/a.py:1)"),
        ({"redis.py": ""}, "plugin 'redis' has the name of the installed module"),
        ({"a.py": HOOK}, "plugin 'a' has a hook for 'h', which no plugin defines (…/a.py:2)"),
        (
            {"a.py": DEFINITION.format("pass"), "b.py": DEFINITION.format("pass")},
            "hook 'h' is defined twice: in plugin 'b' and by h (…/a.py:2) (…/b.py:2)",
        ),
        (
            {"a.py": DEFINITION.format("is_async = True"), "b.py": HOOK},
            "hook 'h' is defined as async, but this run() is not: plugin 'b', class h",
        ),
        ({"a.py": DEFINITION.format("required = True")}, "hook 'h' of plugin 'a' is required"),
        ({"a.py": "", "a-meta.json": "{"}, "plugin metadata is not valid JSON: "),
        ({"a.py": UNDESCRIBED}, "the OpenAPI document cannot be built for the route POST /call: Pydantic"),
    ],
)
def test_opa_check_tells_a_mistake_in_a_plugin_in_its_first_line(
    project: Project, files: dict[str, str], first_line: str
) -> None:
    for name, text in files.items():
        project.plugin(name, text)
    result = check()
    assert result.returncode == 1
    line = result.stderr.splitlines()[0].replace(str(project.plugins), "…")
    assert line.startswith(f"error: {first_line}")


BROKEN_BY_TYPE = """
from __future__ import annotations

from typing import TYPE_CHECKING

from opa import get_router

if TYPE_CHECKING:
    from decimal import Decimal

router = get_router()

@router.get("/price")
def price(price: Decimal) -> None: ...
"""


def test_a_broken_plugin_that_a_start_skips_is_named_and_a_variable_makes_it_a_failure(project: Project) -> None:
    project.plugin("whole.py", "")
    project.plugin("broken.py", "import jsom")
    project.settings(PLUGIN_FAILURE="skip")

    result = check()

    assert result.returncode == 0
    assert " 1 skipped (broken); " in result.stdout
    assert result.stdout.endswith("; broken: broken\n")
    assert "plugin 'broken' does not import" in result.stderr
    assert check(OPA_PLUGIN_FAILURE="fail").returncode == 1


@pytest.mark.parametrize("text", [UNDESCRIBED, BROKEN_BY_TYPE])
def test_a_plugin_that_a_start_serves_with_a_500_fails_also_where_broken_ones_are_skipped(
    project: Project, text: str
) -> None:
    project.plugin("served.py", text)
    project.settings(PLUGIN_FAILURE="skip")
    result = check()
    assert result.returncode == 1
    assert "served.py" in result.stderr.splitlines()[0]


def test_routes_need_no_description_without_an_openapi_url(project: Project) -> None:
    project.plugin("a.py", UNDESCRIBED)
    project.settings(OPENAPI_URL=None, DOCS_URL=None, REDOC_URL=None)
    assert check().returncode == 0


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("OPA_PLUGIN_PATHS", "/nowhere", "plugin path '/nowhere' does not exist"),
        ("OPA_PLUGIN_WHITELIST_RE", "(", "PLUGIN_WHITELIST_RE '(' is not a regular expression"),
        ("OPA_PORT", "eighty", "PORT"),
        ("OPA_OPTIONAL_COMPONENTS__MINE__DRIVER", "none", "component 'mine' asks for the driver 'none'"),
    ],
)
def test_opa_check_tells_a_mistake_in_a_setting_in_its_first_line(
    project: Project, variable: str, value: str, problem: str
) -> None:
    result = check(**{variable: value})
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert problem in result.stderr.splitlines()[0]


def test_a_settings_file_that_does_not_parse(project: Project) -> None:
    file = project.plugin("bad.yaml", "default: [", folder="settings")
    result = check()
    assert result.returncode == 1
    assert str(file) in result.stderr.splitlines()[0]


def test_behind_the_line_stands_the_trace_of_the_plugin_and_not_of_the_core(project: Project) -> None:
    project.plugin("a.py", "def f():\n    1 / 0\nf()\n")
    lines = check().stderr
    assert "ZeroDivisionError" in lines
    assert "in f" in lines
    assert "importing.py" not in lines


def test_opa_check_without_deploy_reports_open_doors_that_keep_a_start_from_happening(project: Project) -> None:
    project.settings(DEBUG=True, DEBUGPY=True, DEBUGPY_HOST="0.0.0.0")

    result = check(ENV="production")

    assert result.returncode == 1
    first, second = result.stderr.splitlines()
    assert first.startswith("error: deploy.debug: ")
    assert second.startswith("error: deploy.debugger: ")
    assert check(ENV="dev").returncode == 0


def test_deploy_has_a_line_for_each_finding_and_the_exit_status_is_that_of_the_fail_level(project: Project) -> None:
    project.settings(DEBUG=True, CHECK_SILENCED={"deploy.docs-public": "internal network"})

    result = check("--deploy")

    assert result.returncode == 1
    assert "error: deploy.debug: DEBUG is on" in result.stderr
    assert "warning: deploy.trusted-hosts: " in result.stderr
    assert "deploy.docs-public" not in result.stderr
    assert result.stdout.splitlines()[0].startswith("ok: ")
    assert result.stdout.endswith(" findings, 1 silenced\n")
    assert check("--deploy", "--fail-level", "never").returncode == 0


def test_deploy_prints_json(project: Project) -> None:
    project.settings(DEBUG=True, CHECK_SILENCED={"deploy.docs-public": "internal network"})

    result = check("--deploy", "--json")

    assert result.returncode == 1
    found = {each["id"]: each for each in json.loads(result.stdout)}
    assert found["deploy.debug"]["level"] == "error"
    assert found["deploy.debug"]["silenced"] is None
    assert found["deploy.debug"]["stops_start"] is True
    assert found["deploy.trusted-hosts"]["stops_start"] is False
    assert found["deploy.docs-public"]["silenced"] == "internal network"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("OPA_PORT", "eighty", "PORT: "),
        ("OPA_PLUGIN_PATHS", "/nowhere", "plugin path '/nowhere' does not exist"),
        ("MODE", "wroker", "there is no mode 'wroker'"),
    ],
)
def test_deploy_prints_a_mistake_as_json_too(project: Project, variable: str, value: str, problem: str) -> None:
    result = check("--deploy", "--json", "--fail-level", "never", **{variable: value})

    (entry,) = json.loads(result.stdout)
    assert result.returncode == 1
    assert (entry["id"], entry["level"]) == ("deploy.mistake", "error")
    assert entry["problem"].startswith(problem)
    assert result.stderr.startswith(f"error: {problem}")


def test_deploy_reports_an_unknown_mode(project: Project) -> None:
    result = check("--deploy", MODE="wroker")

    assert result.returncode == 1
    assert "there is no mode 'wroker' (environment variable MODE)" in result.stderr


def test_opa_check_json_without_deploy_is_refused(project: Project) -> None:
    assert check("--json").returncode == 2

"""`opa new`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import opa
from opa import OpaError
from opa.cli.commands import app
from opa.scaffold import update as update_module
from opa.scaffold.template import File, project_files
from tests import programs
from tests.scaffold.conftest import names_in


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_opa_new_makes_a_project_and_says_how_to_run_it(here: Path) -> None:
    result = new("shop")
    assert result.exit_code == 0, result.output
    assert "shop is a new project: 20 files, in a git repository" in result.output
    assert "Run it:\n  cd shop\n  opa up\n" in result.output
    assert (here / "shop" / "plugins" / "greetings.py").is_file()


def test_opa_new_makes_the_current_folder_a_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shop").mkdir()
    monkeypatch.chdir(here / "shop")
    result = new(".")
    assert "shop is a new project" in result.output
    assert "cd " not in result.output


def test_opa_new_adds_a_plugin_to_the_project_in_the_current_folder(here: Path) -> None:
    (here / "plugins").mkdir()
    assert new("--plugin", "orders", "--task").output.split("\n") == [
        "plugins/orders.py  a route, and a task that it sends",
        "tests/test_orders.py  its tests",
        "",
    ]


def test_opa_new_brings_a_project_to_the_template_and_names_what_is_left_to_do(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new("shop")
    monkeypatch.chdir(here / "shop")
    assert new("--update").output == f"the project has the template of opa-stack {opa.__version__} already\n"
    files = [*project_files("shop"), File("LICENSE", "theirs\n")]
    monkeypatch.setattr(update_module, "project_files", lambda _: files)
    (here / "shop" / "LICENSE").write_text("mine\n")
    result = new("--update")
    assert result.exit_code == 1
    assert "LICENSE  kept as it is, see the same with .new" in result.stdout
    assert "git diff shows what has changed" in result.stdout
    assert "Look after these yourself: LICENSE" in result.stderr
    (here / "shop" / "LICENSE").unlink()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("",),
        ("shop", "--update"),
        ("shop", "--plugin", "orders"),
        ("--plugin", "orders", "--update"),
        ("shop", "--task"),
        ("shop", "--sql"),
        ("shop", "--admin"),
    ],
)
def test_opa_new_does_one_thing_at_a_time(here: Path, arguments: tuple[str, ...]) -> None:
    result = new(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert names_in(here) == []


@pytest.mark.parametrize("arguments", [("json",), ("--plugin", "json"), ("--plugin", "orders"), ("--update",)])
def test_opa_new_tells_a_mistake_and_writes_nothing(here: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(OpaError):
        new(*arguments)
    assert names_in(here) == []


def test_opa_new_reads_no_settings_and_imports_no_more_than_the_help(here: Path) -> None:
    (here / "settings").mkdir()
    (here / "settings" / "broken.yaml").write_text("{")
    command = [sys.executable, "-X", "importtime", "-m", "opa", "new", "shop"]
    done = programs.run(command, cwd=here, fresh=True)
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "opa.scaffold.project" in loaded
    assert not {name for name in loaded if name.split(".")[0] in ("fastapi", "celery", "dynaconf", "redis")}
    assert not {"opa.bootstrap", "opa.settings.load"} & loaded

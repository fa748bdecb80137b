"""`opa new`."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import sys
from contextlib import closing
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


def test_what_is_printed_with_a_table_leads_to_a_migration_of_it(here: Path) -> None:
    (here / "plugins").mkdir()
    (here / "settings").mkdir()
    components = {"SQL": {"LOAD": "yes", "DRIVER": "sqlalchemy-async", "OPTS": {"URL": f"sqlite:///{here}/shop.db"}}}
    (here / "settings" / "sql.json").write_text(json.dumps({"default": {"OPTIONAL_COMPONENTS": components}}))
    with closing(sqlite3.connect(here / "shop.db")) as database, database:  # as a start has made it
        database.execute("create table orders (id integer not null primary key, name varchar not null)")
    said = new("--plugin", "orders", "--sql").output
    assert "Run it:\n  opa up\n" in said
    for folder_or_make in commands_in(said)[1:]:
        said = followed(here, folder_or_make)
        file = here / "plugins" / "orders" / "__init__.py"
        if file.exists():  # what is printed has it taken out
            file.write_text(re.sub(r"async def ready.*?metadata\)\n", "", file.read_text(), flags=re.DOTALL))
    for command in commands_in(said):
        said = followed(here, command)
    assert "orders/0001_create_orders (sql): noted as done" in said
    assert [file.name for file in (here / "plugins" / "orders" / "migrations").glob("*.py")] == [
        "0001_create_orders.py"
    ]


def commands_in(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def followed(here: Path, command: str) -> str:
    """What a command of the shell says that opa has printed."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words if "=" in word and word.startswith("OPA_"))
    words = [programs.OPA if word == "opa" else word for word in words if not word.startswith("OPA_")]
    done = programs.run(words, cwd=here, env={**programs.ENVIRON, **variables}, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_opa_new_with_an_admin_panel_says_where_it_is(here: Path) -> None:
    (here / "plugins").mkdir()
    assert "Its panel is at /admin of the api then." in new("--plugin", "orders", "--admin").output


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

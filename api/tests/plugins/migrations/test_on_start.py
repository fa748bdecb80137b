"""Migrations at a start, and what `opa check` says of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from pymongo import MongoClient

from opa.checks.deploy.migrations import pending_migrations
from opa.errors import OpaError
from opa.healthcheck import check_web
from tests.checks.deploy.deployments import found
from tests.plugins.migrations.shop import (
    CREATE,
    done,
    migrate,
    outputs_of_others,
    rows,
    tables,
    use_sqlite,
    use_two_plugins,
)
from tests.project import Project
from tests.serve.process import free_port, wait_until
from tests.serve.test_operating import ask
from tests.serve.test_starting import starting
from tests.tasks.workers import TaskProject, Worker, task_project

START = """
from starlette.testclient import TestClient
from opa.bootstrap import prepare
from opa.http.builder import build_app
from opa.settings.load import load_settings

with TestClient(build_app(prepare(load_settings(), mode="api"))) as client:
    assert client.get("/readyz").status_code == 200
    print("ready")
"""
SQL = """
import os, pathlib, time
from alembic import op

def upgrade():
    op.execute("INSERT INTO ran VALUES ({number})")
    if {number} == 10:
        pathlib.Path(f"begun-{{os.getpid()}}").write_text("")
        while pathlib.Path("hold").exists():
            time.sleep(0.02)
"""
HOLD = """
import pathlib, time
from alembic import op

def upgrade():
    op.execute("CREATE TABLE t{number} (id INTEGER)")
    while {number} == 2 and pathlib.Path("hold").exists():
        time.sleep(0.02)
"""
OTHER = "migrations are running: 1 of 2, in another process since"
MONGO = """
component = "mongodb"

async def upgrade(client):
    await client.get_default_database().ran.insert_one({{"number": {number}}})
"""


@pytest.fixture
def tasks(project: Project, redis_url: str) -> Iterator[TaskProject]:
    with task_project(project, broker=f"{redis_url}/1", backend=f"{redis_url}/2") as tasks:
        yield tasks


@pytest.fixture
def file(project: Project) -> Path:
    project.settings(MIGRATE_ON_START=True)
    return use_sqlite(project)


def test_a_start_runs_them_before_any_other_plugin_is_started(project: Project, file: Path) -> None:
    use_two_plugins(project)
    project.plugin(
        "early.py",
        """
        import sqlite3
        from contextlib import closing

        async def ready():
            with closing(sqlite3.connect("a.db")) as database:
                database.execute("SELECT * FROM a2")
        """,
    )
    with project.client() as client:
        assert client.get("/readyz").status_code == 200
    assert done() == ["nothing to do"]
    project.settings(MIGRATE_ON_START=False)
    project.plugin("b/migrations/0003_t.py", CREATE.format(table="b3"))
    with project.client():
        assert "b3" not in tables(file)


def test_a_command_does_not_run_them_by_the_way(project: Project, file: Path) -> None:
    use_two_plugins(project)
    project.plugin("say.py", "import typer\ncommands = typer.Typer()\n@commands.command()\ndef hello(): print('hello')")
    program = subprocess.run([sys.executable, "-m", "opa", "say", "hello"], capture_output=True, text=True, check=True)
    assert program.stdout == "hello\n"
    assert "b1" not in tables(file)


def test_nothing_starts_with_one_that_fails_and_the_next_start_tries_what_has_left_nothing(
    project: Project, file: Path
) -> None:
    use_two_plugins(project)
    project.plugin("b/migrations/0002_t.py", "def upgrade(): raise ValueError('no')")
    project.settings(PLUGIN_SKIP_BROKEN=True)
    with pytest.raises(OpaError, match=r"the migration b/0002_t could not run: ValueError: no .*0002_t.py:1"):
        project.client().__enter__()
    assert tables(file) == {"b1", "opa_migrations"}
    project.plugin("b/migrations/0002_t.py", CREATE.format(table="b2"))
    with project.client():
        assert "a2" in tables(file)


def test_one_that_may_have_done_a_part_is_not_run_again_by_a_start(project: Project, redis_url: str) -> None:
    project.component("THING", "redis-aioredis", URL=redis_url)
    project.settings(MIGRATE_ON_START=True, PROJECT_ID=uuid4().hex)
    project.plugin("shop/__init__.py")
    text = "component = 'thing'\nimport pathlib\ndef upgrade(client):\n    pathlib.Path('a').read_text()"
    project.plugin("shop/migrations/0001_t.py", text)
    for problem in ("could not run: FileNotFoundError", "has failed: FileNotFoundError"):
        with pytest.raises(OpaError, match=problem):
            project.client().__enter__()
    Path("a").write_text("a")
    with pytest.raises(OpaError) as raised:
        project.client().__enter__()
    said = str(raised.value)
    assert said.endswith("0001_t.py). See what it has done, and run opa migrate, which runs it again"), said
    assert said.count("See what it has done") == 1
    assert done() == ["shop/0001_t (thing): done"]
    with project.client():
        pass


def test_of_three_that_start_at_once_each_migration_is_run_by_one_also_where_that_is_killed(
    project: Project, file: Path, mongo_url: str
) -> None:
    project.component("MONGODB", "mongodb-async-pymongo", URL=f"{mongo_url}/test_{uuid4().hex}")
    project.plugin("shop/__init__.py")
    for number in range(1, 21):
        text = (SQL if number % 2 == 0 else MONGO).format(number=number)
        project.plugin(f"shop/migrations/{number:04}_t.py", text)
    rows(file, "CREATE TABLE ran (number INTEGER)")
    outputs = outputs_of_others([sys.executable, "-c", START])
    assert [output.splitlines()[-1] for output in outputs] == ["ready", "ready"], outputs
    assert rows(file, "SELECT number FROM ran ORDER BY number") == [(number,) for number in range(2, 21, 2)]
    status = migrate("status", "--json")
    assert status.exit_code == 0
    assert status.stdout.count('"done"') == 20
    # Had two processes run one of MongoDB, its document would be there twice.
    with MongoClient[dict[str, int]](project.config().OPTIONAL_COMPONENTS.MONGODB.OPTS.URL) as client:
        ran = sorted(each["number"] for each in client.get_default_database().ran.find())
    assert ran == [*range(1, 21, 2)]


def test_whoever_waits_for_migrations_says_so_where_it_is_asked_whether_it_is_ready(
    project: Project, file: Path, tasks: TaskProject
) -> None:
    project.plugin(
        "hello.py", "from opa import get_router\nrouter = get_router()\n@router.get('/hello')\ndef hi(): ..."
    )
    project.plugin("shop/__init__.py")
    for number in range(1, 4):
        project.plugin(f"shop/migrations/{number:04}_t.py", HOLD.format(number=number))
    hold = Path("hold")
    hold.touch()
    port = free_port(in_a_row=3)
    other, operating = port + 1, port + 2
    first = tasks.start(MODE="api", OPA_PORT=str(port), WEB_CONCURRENCY="1")
    wait_until(lambda: starting(port) == "migrations are running: 2 of 3", what=lambda: first.log)
    assert ask(port, "/healthz")[0] == 200
    assert ask(port, "/hello") == (503, '{"detail":"the application is starting"}')
    wait_until(lambda: check_web(first.health) == "api: it waits: migrations are running: 2 of 3")

    others = [
        tasks.start(MODE="api", OPA_PORT=str(other), OPA_OPERATING_PORT=str(operating), WEB_CONCURRENCY="1"),
        tasks.start(CELERY_PARAMS="-c 1 --without-mingle --without-gossip"),
        tasks.start(MODE="beat"),
    ]
    stopped = tasks.start(MODE="beat")
    for process in (*others, stopped):
        wait_until(partial(waits_for_another, process))
    assert re.fullmatch(f"{OTHER} 20[0-9T:+-]+", starting(operating) or "")
    assert stopped.stop() == 0
    assert not any("celery beat" in process.log for process in others)

    hold.unlink()
    wait_until(lambda: {ask(each, "/readyz")[0] for each in (port, operating)} == {200}, what=lambda: first.log)
    for process in others[1:]:
        process.wait_until_ready()
    assert ask(other, "/hello")[0] == 200
    assert "reason" not in first.health
    assert tables(file) == {"t1", "t2", "t3", "opa_migrations"}


def test_a_process_that_is_stopped_does_not_wait_for_the_python_code_of_a_migration(
    project: Project, file: Path, tasks: TaskProject
) -> None:
    project.plugin("shop/__init__.py")
    for number in range(1, 4):
        project.plugin(f"shop/migrations/{number:04}_t.py", HOLD.format(number=number))
    Path("hold").touch()
    port = free_port()
    process = tasks.start(MODE="api", OPA_PORT=str(port), WEB_CONCURRENCY="1")
    wait_until(lambda: starting(port) == "migrations are running: 2 of 3", what=lambda: process.log)
    assert process.stop() == 0
    assert tables(file) == {"t1", "opa_migrations"}
    Path("hold").unlink()
    assert done() == ["shop/0002_t (sql): done", "shop/0003_t (sql): done"]


def waits_for_another(process: Worker) -> bool:
    assert process.process.poll() is None, process.log
    return str(process.health.get("reason", "")).startswith(f"it waits: {OTHER}")


def test_a_check_of_a_deployment_names_what_has_not_run(project: Project, file: Path) -> None:
    assert found(project, pending_migrations) == []
    use_two_plugins(project)
    assert found(project, pending_migrations) == []  # a start does it
    project.settings(MIGRATE_ON_START=False)
    assert found(project, pending_migrations) == ["migrations have not run: b/0001_t, b/0002_t, a/0001_t, a/0002_t"]
    done()
    assert found(project, pending_migrations) == []
    project.component("SQL", "sqlalchemy-async", URL="postgresql://opa@127.0.0.1:1/opa")
    project.settings(COMPONENT_CONNECT_TIMEOUT=1)
    [problem] = found(project, pending_migrations)
    assert problem.startswith("which migrations have run cannot be told: the migration b/0001_t needs the component")
    project.settings(MIGRATE_ON_START=True)
    assert found(project, pending_migrations) == []  # nothing is asked of the server


def test_a_check_finds_a_file_that_is_broken_and_a_start_has_no_use_for_it(project: Project) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/migrations/0001_t.py", "def upgrade(:")
    with pytest.raises(OpaError, match=r"the migration 0001_t of plugin 'shop' has a syntax error.*0001_t.py:1"):
        project.app()
    assert project.prepare("api").mode == "api"

"""Plugins with migrations, and `opa migrate` in the process of a test."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from opa.cli.commands import app
from tests.project import Project
from tests.serve.process import wait_until

CREATE = """
from alembic import op
import sqlalchemy as sa

def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))

def downgrade():
    op.drop_table("{table}")
"""


def migrate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["migrate", *arguments], env={"COLUMNS": "200"})


def done(*arguments: str) -> list[str]:
    """The lines that it printed, where it went well."""
    result = migrate(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return [line.partition(", ")[0] for line in result.stdout.splitlines()]


def refused(*arguments: str) -> str:
    """The error with which it ended."""
    result = migrate(*arguments)
    assert result.exit_code == 1, result.output
    return str(result.exception)


def use_sqlite(project: Project) -> Path:
    """The file of the database."""
    file = project.folder / "a.db"
    project.component("SQL", "sqlalchemy-async", URL=f"sqlite:///{file}")
    return file


def rows(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection, connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


def tables(file: Path) -> set[str]:
    return {name for (name,) in rows(file, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def use_two_plugins(project: Project) -> None:
    """The plugin `a`, which requires `b`."""
    for plugin in "ab":
        project.plugin(f"{plugin}/__init__.py")
        for number in (1, 2):
            project.plugin(f"{plugin}/migrations/000{number}_t.py", CREATE.format(table=f"{plugin}{number}"))
    project.meta("a/meta.json", {"requires": ["b"]})


@contextmanager
def running(command: list[str], count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the block, however it ends."""
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            stack.enter_context(process)  # which closes its pipe
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def outputs_of_others(command: list[str]) -> list[str]:
    """Three processes at once; the one that has made a file `begun-PID` is killed then, and `hold` is removed."""
    hold = Path("hold")
    hold.write_text("")
    with running(command, 3) as processes:
        wait_until(lambda: [*Path().glob("begun-*")], seconds=90, what="the one in which it waits has begun")
        [mark] = Path().glob("begun-*")
        [killed] = [each for each in processes if each.pid == int(mark.name.removeprefix("begun-"))]
        killed.kill()
        killed.wait()
        hold.unlink()
        others = [each for each in processes if each is not killed]
        outputs = [each.communicate(timeout=120)[0] for each in others]
        assert [each.returncode for each in others] == [0, 0], outputs
    return outputs

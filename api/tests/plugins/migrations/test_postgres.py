"""Migrations of PostgreSQL: processes that are killed, and several at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.plugins.migrations.shop import CREATE, done, migrate, outputs_of_others, refused, running
from tests.postgres import Postgres
from tests.project import Project
from tests.serve.process import wait_until

pytestmark = pytest.mark.docker
OPA = [sys.executable, "-m", "opa", "migrate"]
Query = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(params=["sqlalchemy-async", "sqlalchemy"])
def query(request: pytest.FixtureRequest, project: Project, postgres: Postgres) -> Query:
    """Asks the empty database of a project that has a plugin."""
    url = postgres.new_database()
    project.component("SQL", request.param, URL=url, STATEMENT_TIMEOUT=1)
    project.plugin("shop/__init__.py")
    return lambda statement: postgres.execute(statement, url.rpartition("/")[2])


def refused_with(project: Project, text: str) -> str:
    project.plugin("shop/migrations/0003_t.py", text)
    return refused()


def tables(query: Query) -> set[object]:
    return {name for (name,) in query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_a_migration_that_waits_for_a_table_which_is_locked_ends_by_ctrl_c(
    project: Project, query: Query, postgres: Postgres
) -> None:
    query("CREATE TABLE t (id INTEGER)")
    [(name,)] = query("SELECT current_database()")
    add = "from alembic import op\n\ndef upgrade():\n    op.execute('ALTER TABLE t ADD COLUMN more INTEGER')\n"
    project.plugin("shop/migrations/0001_t.py", add)
    with psycopg.connect(postgres.url(str(name))) as other, ExitStack() as stack:
        other.execute("SELECT * FROM t")  # as a request that goes on
        [process] = stack.enter_context(running(OPA))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: query(waits), seconds=60)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert done() == ["shop/0001_t (sql): done"]


@pytest.mark.parametrize("query", ["sqlalchemy-async"], indirect=True)
def test_of_three_processes_each_one_is_run_by_one_and_a_killed_one_leaves_nothing(
    project: Project, query: Query
) -> None:
    for number in range(1, 7):
        text = CREATE.format(table=f"t{number}").replace(
            "def upgrade():", f"def upgrade():\n    op.execute('INSERT INTO ran VALUES ({number})')"
        )
        if number == 3:
            # Longer than a statement may take, and until the test has killed the first.
            text = text.replace(
                "INSERT",
                "SELECT pg_sleep(1.2)')\n    import os, time, pathlib\n"
                "    pathlib.Path(f'begun-{os.getpid()}').write_text('')\n"
                "    while pathlib.Path('hold').exists(): time.sleep(0.02)\n    op.execute('INSERT",
            )
        project.plugin(f"shop/migrations/000{number}_t.py", text)
    query("CREATE TABLE ran (number INTEGER)")
    outputs_of_others(OPA)
    assert query("SELECT number FROM ran ORDER BY number") == [(number,) for number in range(1, 7)]
    assert query("SELECT count(*) FROM opa_migrations WHERE state = 'done'") == [(6,)]
    assert done() == ["nothing to do"]


def test_what_fails_is_rolled_back_with_all_that_it_has_done(project: Project, query: Query) -> None:
    project.plugin("shop/migrations/0001_t.py", CREATE.format(table="t1"))
    bad = CREATE.format(table="t2").replace("\ndef downgrade", "    op.execute('SELECT nix')\n\ndef downgrade")
    project.plugin("shop/migrations/0002_t.py", bad)
    assert "It was rolled back, and none behind it was run" in refused()
    assert tables(query) == {"t1", "opa_migrations"}
    assert query("SELECT name, state FROM opa_migrations ORDER BY name") == [("0001_t", "done"), ("0002_t", "failed")]
    project.plugin("shop/migrations/0002_t.py", CREATE.format(table="t2"))
    assert done() == ["shop/0002_t (sql): done"]
    for number, line in enumerate(("op.get_bind().commit()", "op.execute('COMMIT')", "op.get_bind().rollback()")):
        bad = CREATE.format(table=f"t3{number}").replace("\ndef downgrade", f"    {line}\n\ndef downgrade")
        assert "may not commit or roll back by itself" in refused_with(project, bad)
    assert tables(query) == {"t1", "t2", "opa_migrations"}
    bad = CREATE.format(table="t4").replace("\ndef downgrade", "    op.execute('/**/ COMMIT')\n\ndef downgrade")
    assert "TransactionEndedError" in refused_with(project, bad)
    Path("plugins/shop/migrations/0003_t.py").unlink()
    query("DROP TABLE t4")
    assert done("downgrade", "shop", "zero") == ["shop/0002_t (sql): taken back", "shop/0001_t (sql): taken back"]
    assert tables(query) == {"opa_migrations"}


@pytest.mark.parametrize("query", ["sqlalchemy"], indirect=True)
def test_what_needs_no_transaction_around_it_waits_for_nobody_who_waits(project: Project, query: Query) -> None:
    """CREATE INDEX CONCURRENTLY waits for all transactions, and so for one that waits for a lock."""
    query("CREATE TABLE t (id INTEGER)")
    project.plugin(
        "shop/migrations/0001_t.py",
        """
        import pathlib, time
        from alembic import op

        transaction = False

        def upgrade():
            pathlib.Path("begun").write_text("")
            while pathlib.Path("hold").exists():
                time.sleep(0.02)
            op.execute("CREATE INDEX CONCURRENTLY t_id ON t (id)")
        """,
    )
    Path("hold").write_text("")
    with running(OPA, 2) as processes:
        wait_until(Path("begun").exists, seconds=60, what="one runs")
        assert "runs, or was interrupted" in migrate("status").stdout
        Path("hold").unlink()
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
    assert query("SELECT count(*) FROM pg_indexes WHERE indexname = 't_id'") == [(1,)]
    assert done() == ["nothing to do"]


def test_make_compares_with_the_types_of_postgresql(project: Project, query: Query) -> None:
    project.plugin(
        "shop/__init__.py",
        """
        from sqlalchemy.dialects.postgresql import JSONB
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "items"
            id: Mapped[int] = mapped_column(primary_key=True)
            more: Mapped[dict] = mapped_column(JSONB)
        """,
    )
    query("CREATE TABLE of_another_program (id INTEGER)")
    done("make", "shop", "-m", "items")
    text = (project.plugins / "shop/migrations/0001_items.py").read_text()
    assert "from sqlalchemy.dialects import postgresql" in text
    assert "of_another_program" not in text
    assert done() == ["shop/0001_items (sql): done"]
    assert done("make", "shop", "-m", "more") == ["no changes: the tables of plugin 'shop' are as its models say"]

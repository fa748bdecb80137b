"""`opa migrate` with SQLite: order, record, failures, broken files, and what it writes."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opa.errors import RegistrationError
from tests import programs
from tests.plugins.migrations.shop import (
    CREATE,
    done,
    migrate,
    refused,
    rows,
    running,
    tables,
    use_sqlite,
    use_two_plugins,
)
from tests.project import Project

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    {column}

class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent: Mapped[int] = mapped_column(ForeignKey("parents.id", ondelete="CASCADE"))
"""


@pytest.fixture
def file(project: Project) -> Path:
    return use_sqlite(project)


def states() -> dict[str, Any]:
    result = migrate("status", "--json")
    return {row["migration"]: row["state"] for row in json.loads(result.stdout)}


def test_all_run_once_and_those_of_a_required_plugin_first(project: Project, file: Path) -> None:
    use_two_plugins(project)
    order = [f"{name}_t (sql)" for name in ("b/0001", "b/0002", "a/0001", "a/0002")]
    assert done("plan") == order
    assert tables(file) == set()  # it ran nothing
    assert done("plan", "--to", "b/2") == order[:2]
    assert done("--to", "a/0001") == [f"{line}: done" for line in order[:3]]
    result = migrate("status")
    assert result.exit_code == 1
    assert "not run" in result.stdout
    assert done() == [f"{order[3]}: done"]
    assert done() == ["nothing to do"]
    assert migrate("status").exit_code == 0
    assert tables(file) == {"a1", "a2", "b1", "b2", "opa_migrations"}


def test_downgrade_takes_back_those_of_one_plugin_the_last_first(project: Project, file: Path) -> None:
    use_two_plugins(project)
    done()
    assert done("downgrade", "b", "0001") == ["b/0002_t (sql): taken back"]
    assert done("downgrade", "a", "zero") == ["a/0002_t (sql): taken back", "a/0001_t (sql): taken back"]
    assert tables(file) == {"b1", "opa_migrations"}
    assert done("downgrade", "a", "zero") == done("downgrade", "a", "0") == ["nothing to do"]
    assert refused("downgrade", "a", "7").startswith("there is no migration 'a/7'. There are: a/0001_t, a/0002_t")
    assert refused("downgrade", "x", "zero") == "no plugin 'x' has migrations. Those that have some: b, a"
    assert "is written plugin/number" in refused("--to", "0001")


def test_nothing_is_taken_back_where_one_has_no_downgrade(project: Project, file: Path) -> None:
    use_two_plugins(project)
    project.plugin("a/migrations/0001_t.py", "def upgrade(): pass")
    done()
    assert "the migration a/0001_t cannot be taken back: it has no function downgrade" in refused(
        "downgrade", "a", "zero"
    )
    assert "a2" in tables(file)


def test_one_that_fails_leaves_nothing_and_none_behind_it_runs(project: Project, file: Path) -> None:
    use_two_plugins(project)
    project.plugin(
        "b/migrations/0002_t.py",
        """
        from alembic import op

        def upgrade():
            op.execute("CREATE TABLE half (id INTEGER)")
            op.execute("INSERT INTO half VALUES (1)")
            raise RuntimeError("password=hunter2 no")
        """,
    )
    result = migrate()
    assert result.exit_code == 1
    message = str(result.exception)
    assert message.startswith("the migration b/0002_t could not run: RuntimeError: ")
    assert "b/migrations/0002_t.py:7" in message
    assert message.endswith(
        "It was rolled back, and none behind it was run. Fix it, and run opa migrate again: it goes on with this one"
    )
    assert tables(file) == {"b1", "opa_migrations"}
    assert states() == {
        "b/0001_t": "done",
        "b/0002_t": "failed",
        "a/0001_t": "not run",
        "a/0002_t": "not run",
    }
    [(error,)] = rows(file, "SELECT error FROM opa_migrations WHERE state = 'failed'")
    assert "RuntimeError" in error
    assert "hunter2" not in error + message
    project.plugin("b/migrations/0002_t.py", CREATE.format(table="b2"))
    assert len(done()) == 3
    assert set(states().values()) == {"done"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("op.get_bind().commit()", "may not commit or roll back by itself"),
        ("op.get_bind().rollback()", "may not commit or roll back by itself"),
        ("op.execute(' commit')", "may not commit or roll back by itself"),
        ("op.get_context().autocommit_block()", "may not commit or roll back by itself"),
        ("raise SystemExit(0)", "it has called sys.exit(0)"),
    ],
)
def test_one_that_ends_its_transaction_or_process_has_failed_and_leaves_nothing(
    project: Project, file: Path, line: str, message: str
) -> None:
    use_two_plugins(project)
    project.plugin("b/migrations/0001_t.py", CREATE.format(table="b1").replace("\ndef down", f"    {line}\n\ndef down"))
    assert message in refused()
    assert tables(file) == {"opa_migrations"}
    assert states()["b/0001_t"] == "failed"


def test_a_commit_that_nobody_foresaw_is_told(project: Project, file: Path) -> None:
    project.plugin("b/__init__.py")
    text = CREATE.format(table="b1").replace("\ndef down", "    op.execute('/* */ COMMIT')\n\ndef down")
    project.plugin("b/migrations/0001_t.py", text)
    result = migrate()
    assert "TransactionEndedError" in str(result.exception)
    assert "What it has done until then is there" in str(result.exception)
    assert states() == {"b/0001_t": "failed"}
    (project.plugins / "b/migrations/0001_t.py").rename(project.plugins / "b/migrations/0002_t.py")
    assert states() == {"b/0002_t": "not run", "b/0001_t": "failed, and its file is gone"}


def test_a_session_and_a_savepoint_in_a_migration_are_part_of_it(project: Project, file: Path) -> None:
    project.plugin("b/__init__.py")
    project.plugin(
        "b/migrations/0001_t.py",
        """
        import sqlalchemy as sa
        from alembic import op
        from sqlalchemy.orm import Session

        def upgrade():
            op.execute("CREATE TABLE b (id INTEGER)")
            with Session(op.get_bind()) as session:
                session.execute(sa.text("INSERT INTO b VALUES (1)"))
                session.commit()
            with op.get_bind().begin_nested() as savepoint:
                op.execute("INSERT INTO b VALUES (2)")
                savepoint.rollback()
            op.execute("SAVEPOINT x")
            op.execute("INSERT INTO b VALUES (3)")
            op.execute("ROLLBACK TO SAVEPOINT x")
        """,
    )
    assert done() == ["b/0001_t (sql): done"]
    assert rows(file, "SELECT id FROM b") == [(1,)]


def test_one_that_waits_for_a_file_says_so_and_ends_by_ctrl_c(project: Project) -> None:
    use_two_plugins(project)
    project.component("SQL", "sqlalchemy", URL=f"sqlite:///{project.folder / 'a.db'}")  # which has a thread
    with closing(sqlite3.connect("a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running([sys.executable, "-m", "opa", "migrate"]) as [process]:
            assert process.stdout is not None
            assert "waiting for another process" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE opa_migrations (id INTEGER)", "CREATE VIEW opa_migrations AS SELECT 1 AS plugin"]
)
def test_a_table_of_another_program_with_that_name_is_told(project: Project, file: Path, statement: str) -> None:
    use_two_plugins(project)
    with closing(sqlite3.connect(file)) as other:
        other.execute(statement)
    assert "the table opa_migrations in the database is not that of opa migrate" in refused()


def test_one_that_was_renamed_after_it_has_run_is_not_run_again(project: Project, file: Path) -> None:
    use_two_plugins(project)
    assert len(done()) == 4
    old, new = (project.folder / f"plugins/b/migrations/0002_{name}.py" for name in ("t", "other"))
    old.rename(new)
    assert "b/0002_other has the number of b/0002_t, which has run, and whose file is gone" in refused()
    new.rename(old)
    assert done() == ["nothing to do"]
    old.rename(new)
    assert done("--mark", "--to", "b/2") == ["b/0002_other (sql): noted as done"]
    assert done() == ["nothing to do"]


def test_mark_notes_them_as_done_and_a_file_that_is_gone_is_told(project: Project, file: Path) -> None:
    use_two_plugins(project)
    assert done("--mark", "--to", "b/2") == ["b/0001_t (sql): noted as done", "b/0002_t (sql): noted as done"]
    assert tables(file) == {"opa_migrations"}
    (project.plugins / "b/migrations/0002_t.py").unlink()
    assert states()["b/0002_t"] == "done, and its file is gone"
    assert migrate("--mark", "plan").exit_code == 2  # it marks nothing


WRAPPED = """from functools import wraps
def wrapped(function):
    @wraps(function)
    def call(): return function()
    return call
"""


@pytest.mark.parametrize(
    ("name", "text", "problem", "line"),
    [
        ("0001_a.py", "def upgrade(:", "the migration 0001_a of plugin 'shop' has a syntax error", 1),
        ("0001_a.py", "import os", "has no function upgrade", 1),
        ("0001_a.py", "\ncomponent = str(1)\ndef upgrade(): ...", "has a 'component' that is not plain", 2),
        ("0001_a.py", "\n\ntransaction = 1\ndef upgrade(): ...", "has a 'transaction' that is not plain", 3),
        ("0001_a.py", "\nimport nix\ndef upgrade(): ...", "cannot be imported: ModuleNotFoundError", 2),
        ("0001_a.py", "\ndef upgrade(connection): ...", "has a function upgrade that cannot be called", 2),
        ("0001_a.py", "\nasync def upgrade(): ...", "has an async def upgrade", 2),
        ("0001_a.py", f"{WRAPPED}@wrapped\nasync def upgrade(): ...", "has an async def upgrade", 3),
        ("0001_a.py", "transaction = False\ndef upgrade(): ...", "which SQLite does not need", 1),
        ("0001_a.py", "component = 'nix'\ndef upgrade(): ...", "needs the component 'nix'", None),
        ("env.py", "", "'env.py' in migrations/ of plugin 'shop' is not the name of a migration", None),
        ("01_b.py", "def upgrade(): ...", "two migrations of plugin 'shop' have the number 1", None),
    ],
)
def test_a_file_that_is_broken_is_named_with_plugin_and_line(
    project: Project, file: Path, name: str, text: str, problem: str, line: int | None
) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/migrations/_helper.py", "1 +")  # is none
    project.plugin("shop/migrations/README.md", "")
    project.plugin("shop/migrations/0001_other.py" if name == "01_b.py" else "shop/migrations/0000_z.py", CREATE)
    project.plugin(f"shop/migrations/{name}", text)
    message = refused()
    assert problem in message
    assert f"shop/migrations/{name}{'' if line is None else f':{line}'}" in message


def test_a_migration_that_is_a_link_to_nowhere_is_told_and_not_passed_over(project: Project, file: Path) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/migrations/0001_a.py", CREATE)
    (project.plugins / "shop/migrations/0002_b.py").symlink_to("nowhere")
    assert "'0002_b.py' in migrations/ of plugin 'shop' is a link that leads nowhere" in refused()


def test_make_writes_what_makes_the_tables_of_the_models(project: Project, file: Path) -> None:
    models = project.plugin("shop/__init__.py", MODELS.format(column=""))
    project.plugin(
        "other/__init__.py", MODELS.replace("parents", "others").replace("children", "kids").format(column="")
    )
    done("make", "shop", "-m", 'Create the "tables"!')
    written = project.plugins / "shop/migrations/0001_create_the_tables.py"
    assert written.read_text().startswith('"""Create the \'tables\'!."""')
    assert "others" not in written.read_text()
    assert "has not run here" in refused("make", "shop", "-m", "again")
    done()
    assert done("make", "shop", "-m", "again") == ["no changes: the tables of plugin 'shop' are as its models say"]

    # A table that SQLite makes anew takes no rows of others with it.
    rows(file, "INSERT INTO parents VALUES (1)")
    rows(file, "INSERT INTO children VALUES (1, 1)")
    for number, kind in ((2, "str | None"), (3, "str")):
        models.write_text(MODELS.format(column=f"name: Mapped[{kind}] = mapped_column(server_default='-', index=True)"))
        done("make", "shop", "-m", "name")
        assert "batch_alter_table" in (project.plugins / f"shop/migrations/000{number}_name.py").read_text()
        done()
    assert rows(file, "SELECT name FROM parents JOIN children ON parents.id = parent") == [("-",)]

    # What they have in a column that is new and not NULL, nobody has said.
    models.write_text(
        MODELS.format(column="name: Mapped[str] = mapped_column(server_default='-', index=True)\n    n: Mapped[int]")
    )
    made = migrate("make", "shop", "-m", "n")
    assert made.stderr.splitlines()[-1].startswith("warning: parents.n may not be NULL and has no default")
    assert "Cannot add a NOT NULL column with default value NULL" in refused()
    (project.plugins / "shop/migrations/0004_n.py").unlink()

    models.write_text("from sqlalchemy import Table")
    done("make", "shop", "-m", "drop")
    done()
    assert tables(file) == {"opa_migrations"}

    # As where create_all has made the tables.
    rows(file, "CREATE TABLE others (id INTEGER NOT NULL PRIMARY KEY)")
    rows(
        file,
        "CREATE TABLE kids (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL, "
        "FOREIGN KEY (parent) REFERENCES others (id) ON DELETE CASCADE)",
    )
    nothing, why, *commands = done("make", "other", "-m", "create all")
    assert nothing.startswith("no changes")
    assert why.startswith("It has no migration yet")
    empty = "OPA_OPTIONAL_COMPONENTS__SQL__OPTS__URL=sqlite:///empty.db"
    assert [command.strip() for command in commands] == [
        f"{empty} opa migrate",
        f"{empty} opa migrate make other -m 'create all'",
        "rm empty.db",
        "opa migrate --mark --to other/0001",
    ]


def test_foreign_keys_that_lead_nowhere_in_the_end_are_an_error(project: Project, file: Path) -> None:
    project.plugin("shop/__init__.py")
    project.plugin(
        "shop/migrations/0001_a.py",
        """
        from alembic import op

        def upgrade():
            op.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
            op.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id))")
            op.execute("INSERT INTO b VALUES (1, 7)")
        """,
    )
    assert "rows of the table 'b' refer to rows of 'a' that do not exist" in refused()
    assert tables(file) == {"opa_migrations"}


def test_make_without_a_database_says_where_one_is_found(project: Project) -> None:
    project.plugin("shop/__init__.py", MODELS.format(column=""))
    project.component("SQL", "sqlalchemy-async", load="auto", URL="postgresql://opa@nowhere.invalid/opa")
    message = refused("make", "shop", "-m", "a")
    assert message.startswith(
        "opa migrate make needs the component 'sql': component 'sql' is not loaded: host 'nowhere"
    )
    assert "Start opa up in this folder" in message
    assert "OPA_OPTIONAL_COMPONENTS__SQL__OPTS__URL" in message
    assert "Configure it in OPTIONAL_COMPONENTS.ROCKS" in refused("make", "shop", "-m", "a", "--component", "rocks")


def test_make_says_where_it_cannot(project: Project, file: Path) -> None:
    project.plugin("single.py")
    project.plugin("shop/__init__.py")
    assert "plugin 'single' is a single file" in refused("make", "single", "-m", "a")
    assert refused("make", "shopp", "-m", "a") == "no plugin 'shopp' is loaded. Those that are: shop, single"
    assert "plugin 'shop' has no models" in refused("make", "shop", "-m", "a")
    assert "has neither letters nor digits" in refused("make", "shop", "-m", "…")
    assert done() == ["no plugin has migrations"]
    done("make", "shop", "-m", 'a """ \x00\udcff\x1b \\', "--empty")
    assert done() == ["shop/0001_a (sql): done"]


def test_the_synchronous_component_does_the_same(project: Project) -> None:
    file = project.folder / "b.db"
    project.component("SQL", "sqlalchemy", URL=f"sqlite:///{file}")
    use_two_plugins(project)
    assert len(done()) == 4
    assert len(tables(file)) == 5


def test_a_plugin_whose_folder_is_a_file_stops_the_start(project: Project) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/migrations", "")
    with pytest.raises(RegistrationError, match="migrations"):
        project.prepare()


def test_what_nobody_migrates_is_not_imported(project: Project) -> None:
    use_two_plugins(project)
    program = (
        "import sys; from opa.bootstrap import prepare; from opa.settings.load import load_settings;"
        " prepare(load_settings());"
        " print([name for name in sys.modules if name.startswith('alembic') or name == 'opa.plugins.migrations.files'])"
    )
    assert programs.run([sys.executable, "-c", program], fresh=True).stdout == "[]\n"

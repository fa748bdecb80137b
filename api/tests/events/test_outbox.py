"""An event that is emitted in a transaction is sent once that is committed."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from opa import OpaError, state
from opa.events import outbox as outboxes
from opa.events import relay
from opa.events.names import RELAY
from tests.events.library import Library, library
from tests.postgres import Postgres
from tests.project import Project
from tests.serve.process import wait_until

TABLES = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
MIGRATION = """
from alembic import op
from opa import get_util

def upgrade():
    get_util("sql").outbox_table.create(op.get_bind(), checkfirst=True)

def downgrade():
    get_util("sql").outbox_table.drop(op.get_bind())

def never():
    op.create_table("opa_outbox")
"""
OWN = """
from opa import Driver, emit, emit_sync, get_instance, get_router

router = get_router()

class Transaction:
    def __init__(self, kept):
        self.kept, self.new = kept, []
    def commit(self):
        for row, committed in self.new:
            self.kept.append(row)
            committed()

class Kept(Driver):
    name = "kept"
    def connect(self):
        self.instance, self.taken = [], []
    def event_outbox(self):
        return self
    def takes(self, session):
        return isinstance(session, Transaction)
    def add(self, session, name, message, committed):
        session.new.append((message, committed))
    def take(self, count, seconds):
        return [(row, row) for row in self.instance if row not in self.taken]
    def remove(self, keys):
        self.instance[:] = [row for row in self.instance if row not in keys]
    def give_back(self, keys):
        raise NotImplementedError
    def oldest(self, session):
        return None

@router.post("/kept/{number}")
def keep(number: int) -> None:
    transaction = Transaction(get_instance("kept"))
    emit_sync("library.lent", {"number": number}, session=transaction)
    if number:
        transaction.commit()
"""

STUCK = """
from opa import Driver, state

class Stuck(Driver):
    name = "stuck"
    def connect(self):
        self.instance = self
    def event_outbox(self):
        return self
    def takes(self, session):
        return False
    def add(self, session, name, message, committed):
        raise NotImplementedError
    def take(self, count, seconds):
        state["release"].wait()
        return []
    def oldest(self, session):
        return None
"""

Ask = Callable[..., list[Any]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def url(request: pytest.FixtureRequest, project: Project) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{project.folder / 'a.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def ask(url: str, request: pytest.FixtureRequest) -> Ask:
    """Asks the database by a connection of its own."""

    def ask(statement: str) -> list[Any]:
        if not url.startswith("sqlite"):
            server: Postgres = request.getfixturevalue("postgres")
            return server.execute(statement, url.rpartition("/")[2])
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            return connection.execute(statement).fetchall()

    return ask


@pytest.fixture
def shop(project: Project, url: str) -> Iterator[Library]:
    state["here"] = []
    with library(project, url, POOL_SIZE=1) as found:
        yield found


def woken(shop: Library) -> bool:
    return bool(wait_until(lambda: any(name == RELAY for name, _ in shop.sent)))


def test_an_event_is_sent_after_the_commit_and_not_at_all_if_it_is_rolled_back(shop: Library, ask: Ask) -> None:
    assert shop.relay() == []  # there is no table yet
    for number, kind in enumerate(("async", "sync", "async")):
        answer = shop.client.post(f"/{kind}/{number}", headers={"X-Request-ID": f"request-{number}"})
        assert answer.status_code == 200
        assert shop.client.post(f"/{kind}/{number + 10}?status=409").status_code == 409
    assert shop.numbers == []
    assert woken(shop)
    assert shop.client.post("/savepoints").status_code == 200
    assert shop.client.post("/own").status_code == 200
    # Handlers in this process wait for the commit, too: behind what the route has done, and each once.
    lent = [0, 1, 2, 1, 2, 5, 1, 3]
    assert [each for each in state["here"] if each != "emitted"] == lent
    assert shop.relay() == lent
    ids = {headers["request_id"] for headers in shop.headers if headers.get("request_id")}
    assert {"request-0", "request-1", "request-2"} <= ids
    assert ask("SELECT count(*) FROM opa_outbox") == [(0,)]
    assert shop.relay() == lent


def test_without_a_broker_the_commit_works_and_the_event_goes_when_it_is_back(shop: Library, ask: Ask) -> None:
    shop.failure = OperationalError("it is away")
    assert shop.client.post("/async/1").status_code == 200
    assert shop.client.post("/sync/2").status_code == 200
    assert shop.relay() == []
    shop.failure = None
    assert wait_until(shop.relay) == [1, 2]
    assert ask("SELECT count(*) FROM opa_outbox") == [(0,)]


def test_what_another_worker_has_taken_is_sent_when_it_does_not_come_back(shop: Library, ask: Ask) -> None:
    for number in range(1, 4):
        shop.client.post(f"/async/{number}")
    ask(f"UPDATE opa_outbox SET taken_at = {time.time()} WHERE message LIKE '%: 1}}%'")
    ask(f"UPDATE opa_outbox SET taken_at = {time.time() - 16} WHERE message LIKE '%: 2}}%'")
    assert shop.relay() == [2, 3]
    ask(f"UPDATE opa_outbox SET taken_at = {time.time() + 3600}")  # its clock was wrong
    assert shop.relay() == [2, 3, 1]


def test_a_row_that_cannot_be_sent_holds_up_no_other_and_one_of_another_project_is_left_alone(
    shop: Library, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 4):
        shop.client.post(f"/async/{number}")
    ask("UPDATE opa_outbox SET message = 'nonsense' WHERE message LIKE '%: 1}%'")
    ask("UPDATE opa_outbox SET project = 'another' WHERE message LIKE '%: 2}%'")
    assert shop.relay("sql_sync") == [3]
    assert "an event in the outbox of the component 'sql_sync' cannot be sent" in "".join(capsys.readouterr())
    assert ask("SELECT count(*) FROM opa_outbox") == [(2,)]


def test_an_outbox_that_does_not_answer_holds_up_no_other(project: Project) -> None:
    project.plugin("stuck.py", STUCK)
    project.component("A_STUCK", "stuck")
    state["release"] = threading.Event()
    with library(project, f"sqlite:///{project.folder / 'a.db'}") as shop:
        shop.client.post("/async/1")
        portal: Any = shop.client.portal
        portal.call(relay.relay_of(shop.manager).start)
        try:
            assert wait_until(lambda: shop.numbers) == [1]
        finally:
            state["release"].set()
            portal.call(relay.relay_of(shop.manager).stop)


def test_a_table_that_is_none_of_ours_is_named(
    project: Project, url: str, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("CREATE TABLE opa_outbox (number INTEGER, project TEXT)")
    with library(project, url) as shop:
        for path in ("/async/1", "/sync/1"):
            with pytest.raises(
                OpaError, match="the table opa_outbox of the component 'sql.*' does not take an event: "
            ):
                shop.client.post(path)
        for _ in range(3):
            assert shop.relay() == []
        assert "".join(capsys.readouterr()).count("events in the outbox of the component 'sql' are sent later") == 1
        ask("DROP TABLE opa_outbox")
        assert shop.client.post("/async/2").status_code == 200
        assert shop.relay() == [2]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_time_that_is_none_ends_neither_a_request_nor_the_relay(
    shop: Library, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.client.post("/async/1")
    ask("UPDATE opa_outbox SET added_at = 'yesterday', taken_at = 'today'")
    monkeypatch.setattr(outboxes, "LATE", 0.0)
    assert shop.client.post("/async/2").status_code == 200
    assert shop.relay() == [1, 2]


def test_where_there_are_no_transactions_an_event_waits_for_none(project: Project) -> None:
    with library(project, f"sqlite:///{project.folder / 'a.db'}", ISOLATION_LEVEL="AUTOCOMMIT") as shop:
        for path in ("/async/1", "/sync/1"):
            with pytest.raises(
                OpaError, match="an event cannot wait for a commit of the component 'sql.*': .*AUTOCOMMIT"
            ):
                shop.client.post(path)


def test_events_that_wait_for_long_are_told(
    shop: Library, ask: Ask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.client.post("/async/1")
    ask("UPDATE opa_outbox SET added_at = added_at - 90")
    monkeypatch.setattr(outboxes, "LATE", 0.0)
    shop.client.post("/async/2")
    shop.client.post("/sync/3")
    told = "".join(capsys.readouterr())
    for component in ("sql", "sql_sync"):
        assert f"events wait in the outbox of the component '{component}' since 9" in told


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_cannot_be_kept_is_refused_where_it_is_emitted(shop: Library) -> None:
    for path, told in (
        ("/wrong/sync", r"given a session of the component 'sql_sync', which is synchronous. Write emit_sync\(…\)"),
        ("/wrong-sync", r"given a session of the component 'sql', which is asynchronous. Write await emit\(…\)"),
        ("/wrong/none", "given a object, which is a session of no component of this process"),
    ):
        with pytest.raises(OpaError, match=told):
            shop.client.post(path)
    assert shop.client.post("/wrong/async").status_code == 413
    assert state["here"] == []
    assert shop.relay() == []


@pytest.mark.docker
def test_a_user_who_may_create_no_table_is_told_so_and_a_migration_creates_it(
    project: Project, postgres: Postgres
) -> None:
    from tests.plugins.migrations.shop import done

    owner = postgres.new_database()
    database = owner.rpartition("/")[2]
    postgres.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
    url = owner.replace("//opa:", "//clerk:").replace(owner.split(":")[2].partition("@")[0], "clerk")
    with library(project, url) as shop:
        with pytest.raises(OpaError, match="the table opa_outbox of the component 'sql'.* cannot be created") as told:
            shop.client.post("/async/1")
        assert "permission denied for schema public" in str(told.value)
        project.plugin("tables/__init__.py", TABLES)
        project.plugin("tables/migrations/0001_create_outbox.py", MIGRATION)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPA_OPTIONAL_COMPONENTS__SQL__OPTS__URL", owner)
        assert done() == ["tables/0001_create_outbox (sql): done"]
        done("make", "tables", "-m", "Create things")
    made = (project.folder / "plugins" / "tables" / "migrations" / "0002_create_things.py").read_text()
    assert "things" in made
    assert "opa_outbox" not in made
    postgres.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON opa_outbox TO clerk", database)
    with library(project, url) as shop:
        assert shop.client.post("/async/1").status_code == 200
        assert shop.relay() == [1]


def test_a_driver_of_ones_own_keeps_events_in_its_transactions(project: Project) -> None:
    project.plugin("own.py", OWN)
    project.component("KEPT", "kept")
    with library(project, f"sqlite:///{project.folder / 'a.db'}") as shop:
        for number in (1, 0, 2):
            assert shop.client.post(f"/kept/{number}").status_code == 200
        assert shop.relay("kept") == [1, 2]
        assert shop.relay("kept") == [1, 2]


@pytest.mark.docker
def test_sessions_keep_an_isolation_of_their_own_on_the_connections_that_workers_look_with(
    project: Project, postgres: Postgres
) -> None:
    with library(project, postgres.new_database(), POOL_SIZE=1, ISOLATION_LEVEL="SERIALIZABLE") as shop:
        for number, kind in enumerate(("async", "sync")):
            assert shop.client.post(f"/{kind}/{number}").status_code == 200
            assert shop.client.get("/isolation").json() == "serializable"
        assert shop.relay() == [0, 1]
        assert shop.client.get("/isolation").json() == "serializable"


def test_a_driver_that_fails_to_give_its_outbox_is_asked_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = "        if not Path('shelf').exists(): raise RuntimeError('no shelf')\n        return self\n"
    project.plugin("own.py", "from pathlib import Path\n" + OWN.replace("        return self\n", failing, 1))
    project.component("KEPT", "kept")
    monkeypatch.setattr(relay, "INTERVAL", 0.01)
    with library(project, f"sqlite:///{project.folder / 'a.db'}") as shop:
        portal: Any = shop.client.portal
        portal.call(relay.relay_of(shop.manager).start)
        wait_until(lambda: "of the component 'kept' are sent later: RuntimeError: no shelf" in capsys.readouterr().err)
        (project.folder / "shelf").write_text("")
        assert shop.client.post("/kept/1").status_code == 200
        assert wait_until(lambda: shop.numbers) == [1]

"""Migrations of SQL databases: in one transaction with their record, by the operations of Alembic."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from threading import Event
from typing import Any, TypeVar

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    Column,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    Text,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.util import await_only

from opa import OpaError, log
from opa.plugins.migrations.calls import beside, in_thread
from opa.plugins.migrations.files import function_of
from opa.plugins.migrations.ledger import Job, Turn, failure, refuse_repetition, words_of
from opa.plugins.migrations.records import DONE, Record, now

Given = TypeVar("Given")

PAUSE = 0.2
"""Seconds between two looks at whether another process still runs a migration."""
TABLE = "opa_migrations"
LOCK = 7_163_926_021_544_119
"""Of PostgreSQL: any number that others do not use."""
WAIT = 86_400_000
"""Milliseconds for which SQLite waits for those that read, to write what has changed: a day."""
ENDS_TRANSACTION = re.compile(r"\s*(commit|end|abort|rollback(?!\s+((work|transaction)\s+)?to\b))\b", re.IGNORECASE)
"""A statement that ends the transaction in which it is, other than one back to a savepoint."""
RECORDS = Table(
    TABLE,
    MetaData(),
    Column("plugin", String(255), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("at", String(40), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", Text, nullable=False),
)


class OverError(OpaError):
    """The process ends."""


class SqlLedger:
    """That of a SQL database.

    Args:
        component: its name.
        engine: an `AsyncEngine` or an `Engine`, without a pool.

    Raises:
        OpaError: it is another database than PostgreSQL or SQLite.
    """

    def __init__(self, component: str, engine: Any) -> None:
        self._engine = engine
        self._dialect = self._engine.dialect.name
        self._is_over = Event()
        self._connection: Any = None
        if self._dialect not in ("postgresql", "sqlite"):
            raise OpaError(
                f"the component '{component}' is {self._dialect}, for which there are no migrations",
                hint="There are some for PostgreSQL and SQLite",
            )

    async def records(self) -> Mapping[tuple[str, str], Record]:
        """What is recorded."""
        return await self.on_connection(_all)

    async def run(self, job: Job) -> float | None:
        """Run one, see `Ledger.run`."""
        # Before the lock: what cannot be imported changes nothing.
        function = None if job.is_mark else function_of(job.migration, job.direction, parameters=0)
        if job.migration.is_transactional or function is None:
            return await self.on_connection(self._whole, job, function)
        if self._dialect == "sqlite":
            raise OpaError(
                f"the migration {job.migration} has transaction = False, which SQLite does not need",
                where=f"{job.migration.file}:1",
                hint="Ask for the database in it, or leave that line out",
            )
        return await self.on_connection(self._in_pieces, job, function)

    async def on_connection(self, function: Callable[..., Given], /, *arguments: Any) -> Given:
        """Call a function with a connection, and with `arguments`."""
        if not self._engine.dialect.is_async:
            try:
                return await in_thread(partial(self._in_thread, function, *arguments))
            except asyncio.CancelledError:
                self._is_over.set()  # nobody stops a thread, and one that waits for a lock would keep the process
                self._interrupt()
                raise
        return await beside(lambda: self._on_loop(function, *arguments))

    async def _on_loop(self, function: Callable[..., Given], /, *arguments: Any) -> Given:
        async with self._engine.connect() as connection:
            given: Given = await connection.run_sync(function, *arguments)
            return given

    def _in_thread(self, function: Callable[..., Given], /, *arguments: Any) -> Given:
        with self._engine.connect() as connection:
            self._connection = connection.connection.driver_connection
            return function(connection, *arguments)

    def _interrupt(self) -> None:
        """End the statement that runs, such as one that waits for a table that another connection has locked."""
        for name in ("cancel", "interrupt"):
            if (end := getattr(self._connection, name, None)) is not None:
                with suppress(Exception):
                    end()

    def _whole(self, connection: Connection, job: Job, function: Callable[[], object] | None) -> float | None:
        """In one transaction with its record: who is killed leaves nothing."""
        begin = time.monotonic()
        with _prepared(connection):
            try:
                self._begin(connection, job)
                if not job.is_due(_record(connection, job)):
                    connection.rollback()
                    return None
                if function is not None:
                    begin = time.monotonic()
                    with _in_one_transaction(connection):
                        _call(connection, function, _refuse_to_end)
                self._check(connection)
                seconds = time.monotonic() - begin
                _note(connection, job, Record(DONE, now(), seconds))
                connection.commit()
            except OverError:
                raise
            except Exception as error:
                _roll_back(connection)
                if self._is_over.is_set():
                    raise OverError(f"{job.migration} was interrupted, and rolled back: its process ends") from error
                self._note_failure(connection, job, error, time.monotonic() - begin)
                is_ended = isinstance(error, TransactionEndedError)
                state = "What it has done until then is there" if is_ended else "It was rolled back"
                raise failure(job, error, state) from error
        return seconds

    def _in_pieces(self, connection: Connection, job: Job, function: Callable[[], object]) -> float | None:
        """Without a transaction around it, for what PostgreSQL does in none, such as CREATE INDEX CONCURRENTLY."""
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("SET statement_timeout = 0"))
        self._lock(connection, job, "pg_try_advisory_lock")
        try:
            RECORDS.create(connection, checkfirst=True)
            record = _record(connection, job)
            if not job.is_due(record):
                return None
            refuse_repetition(job, record)
            _note(connection, job, job.begun())
            begin = time.monotonic()
            try:
                _call(connection, function, nullcontext)
            except Exception as error:
                if not connection.invalidated:
                    _note(connection, job, job.failed(time.monotonic() - begin, error))
                raise failure(job, error, "What it has done until then is there") from error
            seconds = time.monotonic() - begin
            _note(connection, job, Record(DONE, now(), seconds))
            return seconds
        finally:
            connection.invalidate()  # with its lock, and what it has set

    def _begin(self, connection: Connection, job: Job) -> None:
        if self._dialect == "sqlite":
            self._wait(connection, job, _begins_to_write)
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {WAIT}")
        else:
            self._lock(connection, job, "pg_try_advisory_xact_lock")
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        RECORDS.create(connection, checkfirst=True)

    def _lock(self, connection: Connection, job: Job, function: str) -> None:
        """Wait until no other process runs a migration here; the lock ends with the transaction, or the connection.

        Not by a call that waits: CREATE INDEX CONCURRENTLY waits for all that goes on, and so for that.
        """
        asks = text(f"SELECT {function}(:lock)")
        self._wait(connection, job, lambda connection: bool(connection.scalar(asks, {"lock": LOCK})))

    def _wait(self, connection: Connection, job: Job, has_it: Callable[[Connection], bool]) -> None:
        turn = Turn(job)
        while not has_it(connection):
            connection.rollback()
            turn.wait()
            if self._engine.dialect.is_async:
                await_only(asyncio.sleep(PAUSE))
            elif self._is_over.wait(PAUSE):
                raise OverError(f"{job.migration} does not wait any longer: its process ends")
        turn.begin()

    def _check(self, connection: Connection) -> None:
        """See that SQLite, which does not look at foreign keys while tables are made anew, finds nothing wrong.

        Raises:
            ValueError: it does.
        """
        if self._dialect != "sqlite":
            return
        found = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
        if found is not None:
            raise ValueError(f"rows of the table '{found[0]}' refer to rows of '{found[2]}' that do not exist")

    def _note_failure(self, connection: Connection, job: Job, error: Exception, seconds: float) -> None:
        try:
            self._begin(connection, job)
            if job.direction == "upgrade" and job.is_due(_record(connection, job)):
                _note(connection, job, job.failed(seconds, error))
            connection.commit()
        except Exception as second:  # noqa: BLE001 - the first one is told, and this is often why there is one
            log.warning("that {} has failed could not be recorded: {}", job.migration, words_of(second))
            _roll_back(connection)


@contextmanager
def _prepared(connection: Connection) -> Iterator[None]:
    """SQLite as a migration needs it: to drop a table that is made anew is not to delete what refers to it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    try:
        yield
    finally:
        for pragma in () if connection.closed else (f"busy_timeout = {before}", "foreign_keys = ON"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        if not connection.closed:
            connection.commit()


def _begins_to_write(connection: Connection) -> bool:
    """Begin a transaction of SQLite that writes, unless another process has one: its lock ends with that process."""
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            return False
        raise
    return True


class TransactionEndedError(Exception):
    """A migration has ended its transaction, and with it the lock that keeps others from running it."""


def _refuse_to_end(*_: Any, **__: Any) -> Any:
    raise RuntimeError(
        "a migration is one transaction with its record, and may not commit or roll back by itself: leave that out, or"
        " write transaction = False"
    )


@contextmanager
def _in_one_transaction(connection: Connection) -> Iterator[None]:
    """See that the block does not end the transaction: others would run the migration too, and half of it would stay.

    Raises:
        TransactionEndedError: it has, in a way that was not foreseen.
    """

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if ENDS_TRANSACTION.match(statement):
            _refuse_to_end()

    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.exec_driver_sql("SAVEPOINT opa_migration")
    before = None if is_sqlite else connection.scalar(text("SELECT txid_current()"))
    listeners = {"commit": _refuse_to_end, "rollback": _refuse_to_end, "before_cursor_execute": look}
    for name, listener in listeners.items():
        event.listen(connection, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(connection, name, listener)
    try:
        if is_sqlite:
            connection.exec_driver_sql("RELEASE SAVEPOINT opa_migration")
        is_ended = not is_sqlite and connection.scalar(text("SELECT txid_current()")) != before
    except OperationalError as error:
        if "no such savepoint" not in str(error.orig):
            raise
        is_ended = True
    if is_ended:
        raise TransactionEndedError("it has committed or rolled back by itself: write transaction = False, or leave it")


def _roll_back(connection: Connection) -> None:
    if connection.closed:  # by the migration, which has ended the transaction too
        return
    connection.rollback()
    if not connection.invalidated:
        connection.connection.rollback()  # SQLAlchemy takes it for ended by what was refused


def _call(connection: Connection, function: Callable[[], object], autocommit_block: Callable[[], Any]) -> None:
    context = MigrationContext.configure(connection)
    # That of Alembic knows only transactions that it has begun.
    context.autocommit_block = autocommit_block  # type: ignore[method-assign]
    with Operations.context(context):
        function()


def _all(connection: Connection) -> dict[tuple[str, str], Record]:
    inspector = inspect(connection)
    if not inspector.has_table(TABLE):
        return {}
    there = {str(column["name"]) for column in inspector.get_columns(TABLE)}
    if missing := [name for name in RECORDS.c.keys() if name not in there]:  # noqa: SIM118 - not a dict
        raise OpaError(
            f"the table {TABLE} in the database is not that of opa migrate: it has no column {missing[0]}",
            hint="Give it another name, if it belongs to something else, or give migrations another database",
        )
    rows = connection.execute(select(RECORDS)).mappings()
    return {(str(row["plugin"]), str(row["name"])): Record.from_mapping(dict(row)) for row in rows}


def _is_it(job: Job) -> Any:
    return (RECORDS.c.plugin == job.migration.plugin) & (RECORDS.c.name == job.migration.name)


def _record(connection: Connection, job: Job) -> Record | None:
    row = connection.execute(select(RECORDS).where(_is_it(job))).mappings().first()
    return None if row is None else Record.from_mapping(dict(row))


def _note(connection: Connection, job: Job, record: Record) -> None:
    connection.execute(delete(RECORDS).where(_is_it(job)))
    if job.direction == "upgrade" or record.state != DONE:
        connection.execute(
            insert(RECORDS).values(plugin=job.migration.plugin, name=job.migration.name, **record.as_mapping())
        )

"""The table of events that wait for a commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    cast,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    UnboundExecutionError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, CreateTable

from opa import OpaError
from opa.plugins.driver_sql.commits import after_commit
from opa.plugins.driver_sql.errors import DatabaseGoneError
from opa.plugins.driver_sql.tables import create_all

Given = TypeVar("Given")

NAME = "opa_outbox"
TABLE = Table(
    NAME,
    MetaData(),
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), Identity(), primary_key=True),
    Column("project", String(255), nullable=False),
    Column("name", String(200), nullable=False),
    Column("message", Text, nullable=False),
    Column("added_at", Float(53), nullable=False),
    Column("taken_at", Float(53), nullable=False),
    Index("opa_outbox_of_project", "project", "number"),
)
"""Times are seconds since 1970; `taken_at` is 0 where no worker has it."""
ADDED_AT = cast(TABLE.c.added_at, Float(53))
"""A number, also where a table of SQLite has something else."""
AUTOCOMMIT = "AUTOCOMMIT"
UNFIT = (ProgrammingError, IntegrityError, DataError)
"""What databases say of a table that has other columns, or on which the user has no right."""


def is_autocommit(level: object) -> bool:
    """Whether with this isolation level there are no transactions; SQLAlchemy takes it in any case."""
    return str(level).upper() == AUTOCOMMIT


class Rows:
    """Those of a project in the table of a database.

    Args:
        component: its name.
        project: that of the settings, since several may share a database.
        engine: of the sessions.
        new_engine: makes one without a pool.
        is_autocommit: whether its sessions have no transactions.
    """

    def __init__(
        self,
        component: str,
        project: str,
        engine: Engine,
        new_engine: Callable[[], Engine],
        *,
        is_autocommit: bool = False,
    ) -> None:
        self._component = component
        self._project = project
        self._engine = engine
        self._new_engine = new_engine
        self._is_autocommit = is_autocommit
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._is_there = False

    def is_of(self, session: Session) -> bool:
        """Whether a session is one of the database."""
        try:
            bind = session.get_bind()
        except UnboundExecutionError:
            return False
        return bind.engine.url == self._engine.url

    def add(self, session: Session, name: str, message: str, committed: Callable[[], None]) -> None:
        """Add one in the transaction of a session.

        Raises:
            OpaError: there are no transactions, or there is no table that takes it.
        """
        connection = session.connection()
        if self._is_autocommit or is_autocommit(connection.get_execution_options().get("isolation_level")):
            raise OpaError(
                f"an event cannot wait for a commit of the component '{self._component}': with the isolation level"
                f" {AUTOCOMMIT} each statement is one by itself",
                hint="Emit it without session=, or by a session of another component",
            )
        self._create(connection)
        row = {"project": self._project, "name": name, "message": message, "added_at": time.time(), "taken_at": 0.0}
        try:
            connection.execute(insert(TABLE).values(row))
        except DatabaseGoneError:
            raise
        except DBAPIError as error:
            self._is_there = False  # it may have been dropped
            # PostgreSQL says otherwise that two wait for each other, where the route may try again.
            if not isinstance(error, (*UNFIT, OperationalError) if self._is_sqlite else UNFIT):
                raise
            cause = " ".join(str(error.orig or error).split())
            raise OpaError(
                f"the table {NAME} of the component '{self._component}' does not take an event: {cause}",
                hint="It has to be as opa-stack creates it, and the user of the component may read and change it: see"
                " 'The table' in docs/events.md",
            ) from error
        after_commit(session, self._noting(committed))

    def oldest(self, session: Session) -> float | None:
        """When the first was added, as a session sees it."""
        found: float | None = session.connection().scalar(self._select(ADDED_AT).limit(1))
        return found

    def on(self, connection: Connection, function: Callable[..., Given], *arguments: Any) -> Given:
        """Call one of those below with a connection of its own, whatever isolation its sessions have.

        With another one, of two workers that look at the same moment one would be refused.
        """
        if not self._is_sqlite:
            connection = connection.execution_options(isolation_level="READ COMMITTED")
        return function(connection, *arguments)

    def oldest_of_all(self, connection: Connection) -> float | None:
        """The same, by a connection."""
        found: float | None = connection.scalar(self._select(ADDED_AT).limit(1)) if self._is_known(connection) else None
        return found

    def take(self, connection: Connection, count: int, seconds: float) -> list[tuple[int, str]]:
        """Take the first of those that nobody has."""
        now = time.time()
        # Also where the clock of who has taken them is wrong by far.
        is_free = ~TABLE.c.taken_at.between(now - seconds, now + seconds)
        wanted = self._select(TABLE.c.number, TABLE.c.message).where(is_free).limit(count)
        if not self._is_known(connection):
            return []
        try:
            return self._taken(connection, wanted, now)
        except DBAPIError:
            self._is_there = False  # it may have been dropped
            raise

    def _taken(self, connection: Connection, wanted: Any, now: float) -> list[tuple[int, str]]:
        if self._is_sqlite:
            if connection.execute(wanted.limit(1)).first() is None:
                return []  # a look keeps nobody from writing
            connection.rollback()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
        if rows:
            self._mark(connection, [number for number, _ in rows], now)
        connection.commit()
        return [(number, message) for number, message in rows]

    def remove(self, connection: Connection, numbers: list[int]) -> None:
        """Delete them."""
        connection.execute(delete(TABLE).where(TABLE.c.number.in_(numbers)))
        connection.commit()

    def give_back(self, connection: Connection, numbers: list[int]) -> None:
        """Let others take them."""
        self._mark(connection, numbers, 0.0)
        connection.commit()

    def _mark(self, connection: Connection, numbers: list[int], taken_at: float) -> None:
        connection.execute(update(TABLE).where(TABLE.c.number.in_(numbers)).values(taken_at=taken_at))

    def _select(self, *columns: Any) -> Any:
        return select(*columns).where(TABLE.c.project == self._project).order_by(TABLE.c.number)

    def _is_known(self, connection: Connection) -> bool:
        self._is_there = self._is_there or inspect(connection).has_table(NAME)
        return self._is_there

    def _noting(self, committed: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            self._is_there = True
            committed()

        return call

    def _create(self, connection: Connection) -> None:
        """See that the table is there.

        Raises:
            OpaError: it is not, and cannot be created.
        """
        if self._is_there:
            return
        try:
            if self._is_sqlite:
                # By the same connection: while it writes, no other does. Whether it stays, the commit says.
                connection.execute(CreateTable(TABLE, if_not_exists=True))
                for index in TABLE.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
            elif not self._is_known(connection):
                # By another one, which commits it: what others do with it does not wait for this transaction.
                engine = self._new_engine()
                with engine.connect() as other:
                    create_all(other, TABLE.metadata)
                    other.commit()
        except DatabaseGoneError:
            raise
        except DBAPIError as error:
            cause = " ".join(str(error.orig or error).split())
            raise OpaError(
                f"the table {NAME} of the component '{self._component}', in which events wait for the commit, is not"
                f" there and cannot be created: {cause}",
                hint="Have a user create it who may, by a migration: see 'The table' in docs/events.md",
            ) from error


class AsyncOutbox:
    """That of an asynchronous component; see `docs/events.md`.

    Args:
        engine: of its sessions.
        rows: those of the table.
    """

    def __init__(self, engine: AsyncEngine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows

    def takes(self, session: Any) -> bool:
        """Whether a session is one of the database."""
        return isinstance(session, AsyncSession) and self._rows.is_of(session.sync_session)

    async def add(self, session: AsyncSession, name: str, message: str, committed: Callable[[], None]) -> None:
        """Keep a message in the transaction of a session.

        Raises:
            OpaError: there is no table for it, and none can be created.
        """
        await session.run_sync(self._rows.add, name, message, committed)

    async def oldest(self, session: AsyncSession | None) -> float | None:
        """When the message was added that waits for the longest."""
        if session is not None:
            return await session.run_sync(self._rows.oldest)
        return await self._on_connection(self._rows.oldest_of_all)

    async def take(self, count: int, seconds: float) -> list[tuple[int, str]]:
        """Take messages that nobody has."""
        return await self._on_connection(self._rows.take, count, seconds)

    async def remove(self, keys: list[int]) -> None:
        """Delete them."""
        await self._on_connection(self._rows.remove, keys)

    async def give_back(self, keys: list[int]) -> None:
        """Let others take them."""
        await self._on_connection(self._rows.give_back, keys)

    async def _on_connection(self, function: Callable[..., Given], *arguments: Any) -> Given:
        async with self._engine.connect() as connection:
            return await connection.run_sync(self._rows.on, function, *arguments)


class Outbox:
    """That of a synchronous component.

    Args:
        engine: of its sessions.
        rows: those of the table.
    """

    def __init__(self, engine: Engine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows

    def takes(self, session: Any) -> bool:
        """As `AsyncOutbox.takes`."""
        return isinstance(session, Session) and self._rows.is_of(session)

    def add(self, session: Session, name: str, message: str, committed: Callable[[], None]) -> None:
        """As `AsyncOutbox.add`."""
        self._rows.add(session, name, message, committed)

    def oldest(self, session: Session | None) -> float | None:
        """As `AsyncOutbox.oldest`."""
        return self._on_connection(self._rows.oldest_of_all) if session is None else self._rows.oldest(session)

    def take(self, count: int, seconds: float) -> list[tuple[int, str]]:
        """As `AsyncOutbox.take`."""
        return self._on_connection(self._rows.take, count, seconds)

    def remove(self, keys: list[int]) -> None:
        """As `AsyncOutbox.remove`."""
        self._on_connection(self._rows.remove, keys)

    def give_back(self, keys: list[int]) -> None:
        """As `AsyncOutbox.give_back`."""
        self._on_connection(self._rows.give_back, keys)

    def _on_connection(self, function: Callable[..., Given], *arguments: Any) -> Given:
        with self._engine.connect() as connection:
            return self._rows.on(connection, function, *arguments)

"""The engine of a component: its connections, and what becomes of them when the database is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DisconnectionError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool
from sqlalchemy.util import await_only

from opa import Breaker, PoolUse
from opa.plugins.driver_sql.component import Component
from opa.plugins.driver_sql.errors import DatabaseGoneError, as_outage
from opa.plugins.driver_sql.held import HeldConnections
from opa.plugins.driver_sql.options import Options, options_of
from opa.plugins.driver_sql.outbox import AsyncOutbox, Outbox, Rows, is_autocommit
from opa.plugins.driver_sql.readers import Readers

TESTED_AFTER = 1.0
"""Seconds for which a connection was idle that is tested before it is used: it may have died meanwhile."""
IN_USE = "another operation is in progress"
"""What asyncpg says where a task that was left behind uses the connection."""
_USED = "opa_used"
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
"""Of SQLite: one process writes while others read, and foreign keys are no comments."""


class Database:
    """What the sessions of a component are made for.

    Args:
        driver: that of the component.

    Attributes:
        engine: an `AsyncEngine`, or an `Engine`.
        sessions: makes sessions.
    """

    def __init__(self, driver: Component) -> None:
        self._driver = driver
        self._options = options_of(driver)
        self._is_sqlite = self._options.url.get_backend_name() == "sqlite"
        self._raw: dict[int, Any] = {}
        self._held = HeldConnections(driver)
        self.engine: Any = new_engine(
            self._options, is_async=driver.is_async, poolclass=self._pool_class(), **self._options.engine
        )
        self._sync_engine: Engine = self.engine.sync_engine if driver.is_async else self.engine
        self.sessions: Any = (
            async_sessionmaker[AsyncSession](self.engine, expire_on_commit=False)
            if driver.is_async
            else sessionmaker[Session](self.engine, expire_on_commit=False)
        )
        self._listen()

    def engine_of_its_own(self) -> Any:
        """One without a pool and without the breaker, which ends no connection of it."""
        return new_engine(self._options, is_async=self._driver.is_async, poolclass=NullPool)

    @cached_property
    def outbox(self) -> AsyncOutbox | Outbox:
        """Keeps events in the transactions of sessions."""
        is_async, driver = self._driver.is_async, self._driver

        def another() -> Engine:
            made = self.engine_of_its_own()
            engine: Engine = made.sync_engine if is_async else made
            return engine

        level = self._options.engine.get("isolation_level")
        rows = Rows(driver.component, driver.project, self._sync_engine, another, is_autocommit=is_autocommit(level))
        return AsyncOutbox(self.engine, rows) if is_async else Outbox(self.engine, rows)

    async def answer(self) -> None:
        """Ask whether it answers."""
        async with self.engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    def answer_in_thread(self) -> None:
        """The same."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close all connections, also those that something has kept."""
        self._held.forget()
        await self.engine.dispose()
        for connection in list(self._raw.values()):
            _end(connection)

    def close_in_thread(self) -> None:
        """The same."""
        self._held.forget()
        self.engine.dispose()
        for connection in list(self._raw.values()):
            with suppress(Exception):
                connection.close()

    def use(self) -> PoolUse | None:
        """That of its pool; None where it has none."""
        pool = self._sync_engine.pool
        if not isinstance(pool, QueuePool):
            return None
        given = self._options.engine
        limit = (
            None if given["max_overflow"] < 0 or not given["pool_size"] else given["pool_size"] + given["max_overflow"]
        )
        return PoolUse(in_use=pool.checkedout(), idle=pool.checkedin(), limit=limit)

    def _pool_class(self) -> type[QueuePool] | None:
        if "pool_size" not in self._options.engine:
            return None
        driver, given = self._driver, self._options.engine
        limit = given["pool_size"] + given["max_overflow"]
        base: Any = AsyncAdaptedQueuePool if driver.is_async else QueuePool

        class Pool(base):  # type: ignore[misc]  # which of them it is, is known when it runs
            """One that tells who waits, and that none is free."""

            __module__ = base.__module__  # by which SQLAlchemy names its logger

            def connect(self) -> Any:
                """One of its connections."""
                try:
                    if driver.tell_wait is None or self.checkedout() < limit:
                        return super().connect()
                    with driver.waiting():
                        return super().connect()
                except PoolTimeoutError as error:
                    problem = f"none of its {limit} connections was free within {given['pool_timeout']:g} s"
                    raise DatabaseGoneError(problem, component=driver.component) from error

        return Pool

    def _listen(self) -> None:
        engine = self._sync_engine
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "handle_error", self._translate)
        event.listen(engine, "connect", self._note, insert=True)  # before SQLAlchemy uses it, which may fail
        event.listen(engine, "close", self._forget)
        if self._is_sqlite:
            if self._options.may_write:
                event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "reset", self._end_transaction)
        else:
            event.listen(engine, "checkout", self._take)
            event.listen(engine, "checkin", self._give_back)
            event.listen(engine, "detach", self._give_back)
            self._driver.breaker.when_open(self._let_go if self._driver.is_async else self._let_go_in_thread)
        if Readers.are_of_use(engine):
            Readers(engine)
        if self._driver.is_async and isinstance(engine.pool, QueuePool):  # another has one connection, which all share
            from opa.plugins.driver_sql.callers import Callers  # greenlet is there for asynchronous components

            self._callers = Callers(engine)
            event.listen(engine, "checkin", self._drop_unfinished)

    def _connect(self, dialect: Any, _record: Any, args: Any, options: Any) -> Any:
        breaker = self._driver.breaker
        if self._driver.is_async:
            await_only(breaker.checked())
        else:
            breaker.check_in_thread()
        try:
            return dialect.connect(*args, **options)
        except Exception as error:
            outage = as_outage(error, component=self._driver.component, is_connecting=True)
            if outage is None:
                raise
            breaker.failed(outage)
            raise outage from error

    def _translate(self, context: Any) -> BaseException | None:
        """What an error of a statement, or of a commit, is raised as; None for what it is."""
        error = context.original_exception
        # What cancels a call, as a time limit around it, is told as it is. SQLAlchemy closes the connection for it.
        if isinstance(error, DatabaseGoneError) or not isinstance(error, Exception):
            return None
        if self._is_given_up(context.connection):
            # That is the fault of the program, whatever the driver says of it. Who has given the connection up closes
            # it: to close it twice would lose the next one that the pool has in its place.
            context.is_disconnect = False
            return None
        if context.statement is None and IN_USE in str(error):
            # To end the transaction, of which SQLAlchemy takes no more notice: no other call is to get the connection.
            context.is_disconnect, context.invalidate_pool_on_disconnect = True, False
            return None
        if context.statement is not None and not context.is_disconnect and not self._is_sqlite:
            event.listen(context.connection, "commit", _refuse_lost)
        outage = as_outage(error, component=self._driver.component, is_disconnect=bool(context.is_disconnect))
        if outage is not None:
            self._driver.breaker.failed(outage)
        return outage

    def _is_given_up(self, connection: Any) -> bool:
        """Whether it was closed or given back while a task, or thread, that was left behind still used it."""
        if connection is None:
            return False
        if connection.closed or connection.invalidated:
            return True
        return id(connection.connection.dbapi_connection) not in self._raw

    def _note(self, connection: Any, _record: Any) -> None:
        self._raw[id(connection)] = self._sync_engine.dialect.get_driver_connection(connection)

    def _forget(self, connection: Any, _record: Any) -> None:
        self._raw.pop(id(connection), None)

    def _end_transaction(self, connection: Any, _record: Any, state: Any) -> None:
        # In SQLite a commit that fails leaves its transaction open, and SQLAlchemy takes it for ended: the next session
        # would find it, and commit what was not committed.
        if state.asyncio_safe and self._sync_engine.dialect.get_driver_connection(connection).in_transaction:
            connection.rollback()

    def _take(self, connection: Any, record: Any, _proxy: Any) -> None:
        self._held.take(record)
        now = time.monotonic()
        if self._options.tests_idle and now - record.info.get(_USED, now) > TESTED_AFTER:
            try:
                self._sync_engine.dialect.do_ping(connection)
            except (self._sync_engine.dialect.loaded_dbapi.Error, OSError) as error:
                raise DisconnectionError from error

    def _give_back(self, _connection: Any, record: Any) -> None:
        self._held.give_back(record)
        record.info[_USED] = time.monotonic()

    def _drop_unfinished(self, connection: Any, record: Any) -> None:
        """Close a connection that comes back in a transaction: each call that got it would fail, or go on with that.

        A task that was left behind uses its session, so asyncpg refuses to end the transaction, and SQLAlchemy
        takes it for ended nevertheless. Where that task still waits for its first answer, there is none yet to end:
        it would begin on a connection that is another call's by then.
        """
        if connection is None:
            return
        driver = self._sync_engine.dialect.get_driver_connection(connection)
        # One of asyncpg that is closed cannot say whether it is in a transaction.
        asks = (getattr(driver, name, bool) for name in ("is_closed", "is_in_transaction"))
        if self._callers.still_use(connection) or any(ask() for ask in asks):
            record.invalidate()

    async def _let_go(self) -> None:
        """End the calls that wait for an answer."""
        for connection in list(self._raw.values()):
            _end(connection)

    def _let_go_in_thread(self) -> None:
        for connection in list(self._raw.values()):
            # By another one for its socket: what waits in libpq wakes up, and closes its own. It may be closed already.
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as other:
                other.shutdown(socket.SHUT_RDWR)


def new_engine(options: Options, *, is_async: bool, **more: Any) -> Any:
    """An engine that has not connected yet.

    Raises:
        ValueError: an option is of no use, or the URL is of a driver of the other kind.
    """
    if more.get("poolclass") is None:
        more.pop("poolclass", None)
    make: Any = create_async_engine if is_async else create_engine
    try:
        dialect = options.url.get_dialect()
        if not (dialect.get_async_dialect_cls(options.url).is_async if is_async else not dialect.is_async):
            kind = "asynchronous" if is_async else "synchronous"
            raise ValueError(
                f"the URL begins with {options.url.drivername}://, which is not {kind}, and the driver of the component"
                f" is. Leave the part behind + away, or name one that is {kind}"
            )
        engine = make(options.url, connect_args=options.connect_args, hide_parameters=True, **more)
    except (ArgumentError, InvalidRequestError, TypeError, ImportError) as error:
        raise ValueError(f"SQLAlchemy cannot use the options: {error}") from None
    # With autocommit=True of Python 3.12, its commit does nothing.
    if options.url.get_backend_name() == "sqlite" and options.connect_args.get("autocommit") is not True:
        event.listen(engine.sync_engine if is_async else engine, "savepoint", _begin_before_savepoint)
    return engine


def _begin_before_savepoint(connection: Any, _name: str | None) -> None:
    """Begin a transaction that a savepoint of SQLite would be otherwise: its end would be a commit.

    Python begins one before a statement that writes, and not before SAVEPOINT. It is not begun before each statement,
    as SQLAlchemy's recipe has it: a transaction of SQLite that reads first cannot write any more once another one has
    written meanwhile. For the same reason it may write from its beginning, for which it waits as a statement does.
    """
    driver = connection.connection.driver_connection
    # None: each statement is committed by itself.
    if not driver.in_transaction and driver.isolation_level is not None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def ask(driver: Component) -> None:
    """Ask a database whether it answers, by a connection of its own, in this thread.

    Raises:
        DatabaseGoneError: it does not.
    """
    options = options_of(driver, connect_timeout=Breaker.probe_timeout)
    engine = new_engine(options, is_async=driver.is_async, poolclass=NullPool)
    try:
        if driver.is_async:
            asyncio.run(_ask(engine))  # a loop of its own: that of the process may have other things to do
        else:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
    except Exception as error:
        cause = getattr(error, "orig", None) or error
        is_lost = bool(getattr(error, "connection_invalidated", False))
        outage = as_outage(cause, component=driver.component, is_disconnect=is_lost, is_connecting=True)
        if outage is None:
            raise
        raise outage from error


async def _ask(engine: AsyncEngine) -> None:
    async with asyncio.timeout(Breaker.probe_timeout), engine.connect() as connection:
        await connection.exec_driver_sql("SELECT 1")


def _end(connection: Any) -> None:
    """Give up a connection of an asynchronous driver, on the event loop."""
    for name in ("terminate", "stop"):
        if (end := getattr(connection, name, None)) is not None:
            with suppress(Exception):
                end()
            return


def _refuse_lost(connection: Any) -> None:
    """Refuse to commit a transaction in which a statement has failed.

    PostgreSQL has undone all of it by then, unless that was behind a savepoint, and says of a COMMIT that it is done.
    """
    try:
        connection.exec_driver_sql("SELECT 1")  # which is an error where all is undone
    except Exception:
        if not connection.invalidated:
            connection.connection.rollback()  # SQLAlchemy takes the transaction for ended
        raise


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()

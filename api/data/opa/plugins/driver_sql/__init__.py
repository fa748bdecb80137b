"""Drivers for SQL databases by SQLAlchemy: `sqlalchemy-async` and synchronous `sqlalchemy`.

SQLAlchemy is imported where a component uses one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from opa import ComponentUnavailableError, Driver, OpaError, PoolUse, lazy_errors

if TYPE_CHECKING:
    from opa.plugins.driver_sql.databases import Database
    from opa.plugins.driver_sql.util import AsyncUtil, Util


class _SqlDriver(Driver):
    """What the two drivers have in common."""

    is_async: ClassVar[bool]

    # The first one says whether SQLAlchemy is imported: without it there are no such errors.
    connection_errors = lazy_errors("sqlalchemy.exc:TimeoutError", "opa.plugins.driver_sql.errors:DatabaseGoneError")
    permanent_errors = lazy_errors(
        "sqlalchemy.exc:ArgumentError", "opa.plugins.driver_sql.errors:DatabaseRefusedError", "builtins:ValueError"
    )
    waits_for_host = True  # SQLAlchemy is imported to prepare

    def __init__(self, opts: Mapping[str, Any] | None = None, load: str = "auto") -> None:
        super().__init__(opts, load)
        self._database: Database | None = None
        self._making = Lock()

    def prepare(self) -> None:
        """Check the options.

        Raises:
            NotInstalledError: the packages for it are not installed, and LOAD is yes.
            ValueError: the URL or another option is of no use; the message repeats no value, it may be a secret.
        """
        try:
            if not self._is_left_alone():
                self.new_database()
        except ImportError:
            if self.load != "auto":
                raise
            # There may be no such host, and then nobody misses them; if there is one, to connect says so.

    def _is_left_alone(self) -> bool:
        """Whether it is a file that nothing has a use for so far: whoever has models has imported SQLAlchemy."""
        url = next((value for key, value in self.opts.items() if str(key).upper() == "URL"), "")
        return "sqlalchemy" not in sys.modules and str(url).startswith("sqlite")

    def new_database(self) -> Database:
        """One that has not connected yet."""
        from opa.plugins.driver_sql.packages import need_packages

        need_packages(self)
        from opa.plugins.driver_sql.databases import Database

        return Database(self)

    @property
    def database(self) -> Database:
        """What sessions are made for.

        Raises:
            ComponentUnavailableError: the packages for it are not installed, or an option is of no use.
        """
        if self._database is None:
            with self._making:  # threads may be the first at the same time
                try:
                    self._database = self._database or self.new_database()
                except (OpaError, ValueError) as error:
                    raise ComponentUnavailableError(str(error), component=self.component) from error
        return self._database

    def get_instance(self) -> Any:
        """The session factory."""
        return self.database.sessions

    @property
    def project(self) -> str:
        """That of the settings: several may share a database."""
        return str(self.pm.config.PROJECT_ID or self.pm.config.PROJECT_NAME)

    def event_outbox(self) -> Any:
        """Keeps events in the transactions of sessions; None where nothing has a use for the database so far."""
        return None if self._database is None else self._database.outbox

    def refusal(self, problem: str) -> Exception:
        if self._database is None:
            return super().refusal(problem)
        from opa.plugins.driver_sql.errors import DatabaseGoneError

        return DatabaseGoneError(problem, component=self.component)

    def probe(self) -> None:
        """Ask the database, by a connection of its own."""
        from opa.plugins.driver_sql.databases import ask

        ask(self)

    def pools(self) -> Mapping[str, PoolUse]:
        """Of its connections."""
        use = None if self._database is None else self._database.use()
        return {} if use is None else {"connections": use}


class SqlalchemyAsync(_SqlDriver):
    """Gives an `AsyncSession` to each use; its instance is an `async_sessionmaker`."""

    name = "sqlalchemy-async"
    is_async = True

    async def connect(self) -> None:
        """Make what has the connections."""
        if not self._is_left_alone():
            self._database = self.new_database()
            self.instance = self._database.sessions

    async def validate(self) -> None:
        """Ask the database whether it answers."""
        if self._database is not None:
            await self._database.answer()

    async def disconnect(self) -> None:
        """Close the connections."""
        if self._database is not None:
            database, self._database = self._database, None
            await database.close()

    def async_scope(self) -> AbstractAsyncContextManager[Any]:
        """A session; committed where its use ends well, and rolled back where it does not."""
        from opa.plugins.driver_sql.sessions import AsyncScope

        return AsyncScope(self.database.sessions)

    @property
    def util(self) -> AsyncUtil:
        """What there is beside sessions."""
        from opa.plugins.driver_sql.util import AsyncUtil

        return AsyncUtil(self.database)


class Sqlalchemy(_SqlDriver):
    """Gives a `Session` to each use; its instance is a `sessionmaker`."""

    name = "sqlalchemy"
    is_async = False

    def connect(self) -> None:
        """Make what has the connections."""
        if not self._is_left_alone():
            self._database = self.new_database()
            self.instance = self._database.sessions

    def validate(self) -> None:
        """Ask the database whether it answers."""
        if self._database is not None:
            self._database.answer_in_thread()

    def disconnect(self) -> None:
        """Close the connections."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close_in_thread()

    def scope(self) -> AbstractContextManager[Any]:
        """A session; committed where its use ends well, and rolled back where it does not."""
        from opa.plugins.driver_sql.sessions import Scope

        return Scope(self.database.sessions)

    @property
    def util(self) -> Util:
        """What there is beside sessions."""
        from opa.plugins.driver_sql.util import Util

        return Util(self.database)

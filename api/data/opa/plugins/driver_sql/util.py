"""What `get_util` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from opa.plugins.driver_sql.outbox import TABLE
from opa.plugins.driver_sql.tables import create_all

if TYPE_CHECKING:
    from opa.plugins.driver_sql.databases import Database


class AsyncUtil:
    """Of an asynchronous component.

    Attributes:
        engine: that of its sessions.
        outbox_table: that of events which wait for a commit, for a migration that creates it.
    """

    outbox_table: Table = TABLE

    def __init__(self, database: Database) -> None:
        self.engine: AsyncEngine = database.engine
        self._database = database

    def new_engine(self) -> AsyncEngine:
        """One for work that takes long, such as migrations: it opens a connection for each use and closes it then.

        What is known of the component does not count for it: nobody asks meanwhile whether the database answers, and
        ends its connections where it does not.
        """
        engine: AsyncEngine = self._database.engine_of_its_own()
        return engine

    async def create_all(self, metadata: MetaData) -> None:
        """Create the tables that are missing. Of several processes that do so at once, one creates them.

        Tables that there are stay as they are, also where the model is another one by now.
        """
        async with self.engine.connect() as connection:
            await connection.run_sync(create_all, metadata)
            await connection.commit()


class Util:
    """Of a synchronous component.

    Attributes:
        engine: that of its sessions.
        outbox_table: that of events which wait for a commit, for a migration that creates it.
    """

    outbox_table: Table = TABLE

    def __init__(self, database: Database) -> None:
        self.engine: Any = database.engine
        self._database = database

    def new_engine(self) -> Any:
        """As `AsyncUtil.new_engine`."""
        return self._database.engine_of_its_own()

    def create_all(self, metadata: MetaData) -> None:
        """As `AsyncUtil.create_all`."""
        with self.engine.connect() as connection:
            create_all(connection, metadata)
            connection.commit()

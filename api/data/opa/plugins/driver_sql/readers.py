"""Results that are read row by row, from a cursor of PostgreSQL: they end when their connection is given back.

One that a task or a thread has kept would read on in the transaction of the next call, where there is no such cursor:
an error, with which PostgreSQL undoes what that call has done.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event


class Readers:
    """The results that are read from each connection of an engine.

    Args:
        engine: of asyncpg or of synchronous psycopg, the synchronous one of an `AsyncEngine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._contexts: dict[int, WeakSet[Any]] = {}
        for moment in ("do_execute", "do_execute_no_params"):
            event.listen(engine, moment, self._note)
        event.listen(engine, "checkin", self._end)
        event.listen(engine, "close", self._forget)

    @staticmethod
    def are_of_use(engine: Engine) -> bool:
        """Whether cursors of the engine can be closed without a word to the database, after a transaction."""
        return engine.dialect.driver == ("asyncpg" if engine.dialect.is_async else "psycopg")

    def _note(self, cursor: Any, *arguments: Any) -> None:
        # That of psycopg has a name, if it is one of the server.
        if getattr(cursor, "server_side", False) or getattr(cursor, "name", None):
            context = arguments[-1]
            key = id(context.root_connection.connection.dbapi_connection)
            self._contexts.setdefault(key, WeakSet()).add(context)

    def _end(self, connection: Any, _record: Any) -> None:
        for context in list(self._contexts.pop(id(connection), ())):
            context.cursor.close()

    def _forget(self, connection: Any, _record: Any) -> None:
        self._contexts.pop(id(connection), None)

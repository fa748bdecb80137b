"""Which call of an asynchronous session has executed something on a connection, and whether it still waits for that.

SQLAlchemy runs each call in a greenlet of its own. Those of tasks that were left behind go on when the end of a request
gives the connection back.
"""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent, greenlet
from sqlalchemy import Engine, event


class Callers:
    """The last call on each connection of an engine.

    Args:
        engine: the synchronous one of an `AsyncEngine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._last: dict[int, greenlet] = {}
        for moment in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.listen(engine, moment, self._note)
        event.listen(engine, "close", self._forget)

    def still_use(self, connection: Any) -> bool:
        """Whether another call than this one has not ended yet.

        Args:
            connection: of the driver, as SQLAlchemy has adapted it.
        """
        last = self._last.get(id(connection))
        return last is not None and not last.dead and last is not getcurrent()

    def _note(self, *arguments: Any) -> None:
        context = arguments[-1]
        # Which is an error where the connection was given back meanwhile.
        self._last[id(context.root_connection.connection.dbapi_connection)] = getcurrent()

    def _forget(self, connection: Any, _record: Any) -> None:
        self._last.pop(id(connection), None)

"""What is to happen once the transaction of a session is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

_KEY = "opa_commits"
"""Where a session keeps its own."""


class Commits:
    """Calls functions when a session has committed what was done before each was added.

    A savepoint that is rolled back takes along those that were added in it.

    Args:
        session: the synchronous one, also of an `AsyncSession`.
    """

    def __init__(self, session: Session) -> None:
        self._functions: dict[Any, list[Callable[[], None]]] = {}
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_transaction_end", self._ended)

    def add(self, session: Session, function: Callable[[], None]) -> None:
        """Have one called; in a transaction that has begun."""
        transaction = session.get_nested_transaction() or session.get_transaction()
        self._functions.setdefault(transaction, []).append(function)

    def _committed(self, session: Session) -> None:
        savepoint = session.get_nested_transaction()
        if savepoint is not None:  # it ends well, and what was done in it waits for what is around it
            moved = self._functions.pop(savepoint, [])
            if moved:
                self._functions.setdefault(savepoint.parent, []).extend(moved)
            return
        functions, self._functions = self._functions, {}
        for function in [each for added in functions.values() for each in added]:
            function()

    def _ended(self, _session: Session, transaction: Any) -> None:
        self._functions.pop(transaction, None)


def after_commit(session: Session, function: Callable[[], None]) -> None:
    """Have `function` called once the transaction of a session is committed, and never if it is rolled back."""
    commits = session.info.get(_KEY)
    if commits is None:
        commits = session.info[_KEY] = Commits(session)
    commits.add(session, function)

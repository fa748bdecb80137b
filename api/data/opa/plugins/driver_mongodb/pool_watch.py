"""How the connections of a client are used, and how long its calls wait for one: as pymongo tells its listeners."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from typing import Any

from pymongo.common import MAX_POOL_SIZE
from pymongo.monitoring import ConnectionPoolListener

from opa import PoolUse

_wait: ContextVar[ExitStack | None] = ContextVar("opa_mongodb_wait", default=None)
"""Of a call that waits: what it begins with and what it ends with are told in its own thread or task."""


class PoolWatch(ConnectionPoolListener):
    """Of one client, which has a pool for each of its servers.

    Args:
        waiting: gives a context for a call that waits.
    """

    def __init__(self, waiting: Callable[[], AbstractContextManager[None]]) -> None:
        self._waiting = waiting
        self._lock = threading.Lock()
        self._limits: dict[Any, int] = {}
        self._open: Counter[Any] = Counter()
        self._in_use: Counter[Any] = Counter()
        self._asking: Counter[Any] = Counter()

    def use(self) -> PoolUse:
        """That of all pools together."""
        with self._lock:
            in_use, limits = self._in_use.total(), list(self._limits.values())
            idle = max(self._open.total() - in_use, 0)
        return PoolUse(in_use, idle, sum(limits) if all(limits) else None)

    def pool_created(self, event: Any) -> None:
        """A server is known."""
        with self._lock:
            # It may be told as 0, or as infinite, that there is no limit.
            limit = event.options.get("maxPoolSize", MAX_POOL_SIZE) if event.options else MAX_POOL_SIZE
            self._limits[event.address] = limit if limit and limit != float("inf") else 0

    def pool_ready(self, event: Any) -> None:
        """It answers."""

    def pool_cleared(self, event: Any) -> None:
        """It does not; its connections are closed one after another."""

    def pool_closed(self, event: Any) -> None:
        """It is no longer there."""
        with self._lock:
            self._limits.pop(event.address, None)

    def connection_created(self, event: Any) -> None:
        """One more."""
        self._add(self._open, event, 1)

    def connection_ready(self, event: Any) -> None:
        """It can be used."""

    def connection_closed(self, event: Any) -> None:
        """One less."""
        self._add(self._open, event, -1)

    def connection_check_out_started(self, event: Any) -> None:
        """A call asks for one, and waits where all are in use, or asked for by others."""
        limit = self._limits.get(event.address)
        if limit and self._in_use[event.address] + self._asking[event.address] >= limit:
            stack = ExitStack()
            stack.enter_context(self._waiting())
            _wait.set(stack)
        self._add(self._asking, event, 1)

    def connection_check_out_failed(self, event: Any) -> None:
        """It does not get one."""
        self._end_wait(event)

    def connection_checked_out(self, event: Any) -> None:
        """It has got one."""
        self._end_wait(event)
        self._add(self._in_use, event, 1)

    def connection_checked_in(self, event: Any) -> None:
        """It has given it back."""
        self._add(self._in_use, event, -1)

    def _end_wait(self, event: Any) -> None:
        self._add(self._asking, event, -1)
        stack = _wait.get()
        if stack is not None:
            _wait.set(None)
            stack.close()

    def _add(self, counts: Counter[Any], event: Any, amount: int) -> None:
        with self._lock:
            counts[event.address] += amount

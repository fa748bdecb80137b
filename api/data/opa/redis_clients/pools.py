"""Pools of connections to redis that know of a breaker: they refuse, they tell it of failures, and they let go."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import redis
from redis import asyncio as aioredis
from redis.sentinel import SentinelConnectionPool

from opa._compat.redis import socket_of
from opa._util.sockets import shut
from opa.core.breaker import PROBE_TIMEOUT
from opa.core.component_observers import CONNECTION, PoolUse, measured

if TYPE_CHECKING:
    from opa.core.breaker import Breaker


class CheckedConnection:
    """What a connection of a pool does first: it may have been waited for, in a thread, while the breaker opened."""

    breaker: Breaker | None = None

    def connect(self) -> None:
        """Connect where it has not; called before each command.

        Raises:
            redis.ConnectionError: the breaker is open, or the server does not answer.
        """
        if self.breaker is not None and self.breaker.is_asking:
            self.breaker.check_in_thread()
        super().connect()  # type: ignore[misc]  # a connection of redis-py

    def on_connect_check_health(self, *args: Any, **options: Any) -> None:
        """Called when there is a connection, before the server is told who connects."""
        if self.breaker is not None:
            self.breaker.check()
        super().on_connect_check_health(*args, **options)  # type: ignore[misc]


def _checked(connection_class: Any) -> Any:
    if issubclass(connection_class, CheckedConnection):
        return connection_class
    return type(connection_class.__name__, (CheckedConnection, connection_class), {})


class _Made:
    """The connections that a pool has made."""

    def __init__(self) -> None:
        self._by_id: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def add(self, connection: Any) -> None:
        self._by_id[id(connection)] = connection

    def all(self) -> list[Any]:
        # The references, since other threads add to it meanwhile.
        return [connection for reference in self._by_id.valuerefs() if (connection := reference()) is not None]


class PoolGuard:
    """What a pool for threads adds to redis-py's; its `breaker` is set once there is one."""

    breaker: Breaker | None = None
    connection_class: Any
    _made: _Made

    def guard_by(self, breaker: Breaker) -> None:
        """Refuse while it is open, and let go when it opens. Before the first connection is made."""
        self.breaker = breaker
        self._made = _Made()
        self.connection_class = _checked(self.connection_class)
        breaker.when_open(self.let_go)

    def make_connection(self) -> Any:
        """Called where there is none that is free."""
        connection: Any = super().make_connection()  # type: ignore[misc]  # a pool of redis-py
        if self.breaker is not None:
            connection.breaker = self.breaker
            self._made.add(connection)
        return connection

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Take a connection out."""
        breaker = self.breaker
        if breaker is not None:
            breaker.check_in_thread()
            if breaker.tell_wait is not None and self.is_used_up():
                with measured(breaker.tell_wait, CONNECTION):
                    return super().get_connection(*args, **options)  # type: ignore[misc]
        return super().get_connection(*args, **options)  # type: ignore[misc]

    def is_used_up(self) -> bool:
        """Whether a call would wait for a connection now."""
        return False

    def release(self, connection: Any) -> None:
        """Put a connection back; where it was closed by an error, the server may be gone."""
        if self.breaker is not None and not connection.is_connected and (error := sys.exc_info()[1]) is not None:
            self.breaker.failed(error)
        super().release(connection)  # type: ignore[misc]

    def let_go(self) -> None:
        """End what waits in other threads: they see the end of the connection, and close it."""
        for connection in self._made.all():
            # Not `disconnect()`: the number of a socket that is closed here may be another's when the thread wakes up.
            found = socket_of(connection)
            if found is not None:
                shut(found)


class GuardedPool(PoolGuard, redis.BlockingConnectionPool):
    """A pool for threads that waits for a connection where all are in use."""

    def is_used_up(self) -> bool:
        """Whether a call would wait for a connection now."""
        return bool(self.pool.empty())

    def use(self) -> PoolUse:
        """How its connections are used in this process; without a lock, for which a child of a worker might wait."""
        if self.pid != os.getpid():  # they are the parent's
            return PoolUse(0, 0, self.max_connections)
        free = list(self.pool.queue)  # in one step, since other threads change it
        return PoolUse(self.max_connections - len(free), len(free) - free.count(None), self.max_connections)


class GuardedPlainPool(PoolGuard, redis.ConnectionPool):
    """One that makes as many as it is asked for."""


class GuardedSentinelPool(PoolGuard, SentinelConnectionPool):
    """One of a master that Sentinel knows."""


class GuardedAsyncPool(aioredis.BlockingConnectionPool):
    """The same for an event loop."""

    breaker: Breaker | None = None
    _made: _Made

    def guard_by(self, breaker: Breaker) -> None:
        """Refuse while it is open, and let go when it opens. Before the first connection is made."""
        self.breaker = breaker
        self._made = _Made()
        if breaker.tell_wait is not None:  # only then a command costs this step more
            self.get_connection = self._get_measured  # type: ignore[method-assign]
        breaker.when_open(self.let_go)

    def use(self) -> PoolUse:
        """How its connections are used."""
        (idle, _), (in_use, _) = self.get_connection_count()
        return PoolUse(in_use, idle, self.max_connections)

    def _get_measured(self, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        get = super().get_connection(*args, **options)  # type: ignore[no-untyped-call]
        return get if self.can_get_connection() else self._measure(get)

    async def _measure(self, get: Coroutine[Any, Any, Any]) -> Any:
        assert self.breaker is not None  # noqa: S101 - it has put this in the place of redis-py's
        with measured(self.breaker.tell_wait, CONNECTION):
            return await get

    def make_connection(self) -> Any:
        """Called where there is none that is free."""
        connection = super().make_connection()  # type: ignore[no-untyped-call]
        if self.breaker is not None:
            self._made.add(connection)
        return connection

    async def ensure_connection(self, connection: Any) -> None:
        """Called with a connection before it gets a command."""
        if self.breaker is None or (connection.is_connected and not self.breaker.is_asking):
            await super().ensure_connection(connection)
        else:
            async with self.breaker.guard():
                await super().ensure_connection(connection)

    async def release(self, connection: Any) -> None:
        """Put a connection back; where it was closed by an error, the server may be gone."""
        if self.breaker is not None and not connection.is_connected and (error := sys.exc_info()[1]) is not None:
            self.breaker.failed(error)
        await super().release(connection)

    async def let_go(self) -> None:
        """End what waits; a connection that cannot be ended keeps no other from it.

        Raises:
            Exception: what ending one of them has raised.
        """
        outcomes = await asyncio.gather(*map(_end, self._made.all()), return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error


async def _end(connection: Any) -> None:
    with suppress(redis.RedisError, OSError):
        await connection.disconnect(nowait=True)


def refusal(problem: str) -> Exception:
    """The error for a command that is refused."""
    return redis.ConnectionError(problem)


def ask(pool: redis.ConnectionPool) -> None:
    """Ask the server of a pool for an answer, over a new connection.

    Raises:
        redis.RedisError: it gives none, or a bad one.
    """
    options = {**pool.connection_kwargs, "socket_timeout": PROBE_TIMEOUT, "socket_connect_timeout": PROBE_TIMEOUT}
    connection: Any = pool.connection_class(**options)
    try:
        connection.connect()
        connection.send_command("PING", check_health=False)
        connection.read_response()
    finally:
        connection.disconnect()

"""Drivers for Redis and Valkey: `redis-aioredis` (asynchronous) and `redis-walrus` (synchronous).

The clients are imported where a component uses one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from opa import Driver, PoolUse, lazy_errors


class _RedisDriver(Driver):
    """What the two drivers have in common."""

    is_async: ClassVar[bool]

    connection_errors = lazy_errors(
        "redis.exceptions:ConnectionError", "redis.exceptions:TimeoutError", "opa.redis_clients:SERVER_STATES"
    )
    permanent_errors = lazy_errors(
        "redis.exceptions:AuthenticationError",
        "redis.exceptions:AuthorizationError",
        "redis.exceptions:InvalidResponse",
        "redis.exceptions:ResponseError",
        "builtins:ValueError",
    )
    guards_client = True
    waits_for_host = True  # the client is imported to prepare

    def prepare(self) -> None:
        """Check the options.

        Raises:
            ValueError: the URL or another one is of no use; the message repeats no value, it may be a secret.
        """
        # The pool does not look at its options before it makes the first connection.
        pool = self.new_client().connection_pool
        try:
            pool.connection_class(**pool.connection_kwargs)
        except TypeError as error:
            raise ValueError(f"the Redis client does not know an option: {error}") from None

    def refusal(self, problem: str) -> Exception:
        from opa.redis_clients import refusal

        return refusal(problem)

    def probe(self) -> None:
        """Ask the server, in a thread: the event loop may have other things to do."""
        from opa.plugins.driver_redis.clients import Pool, new_pool
        from opa.redis_clients import StateParser, ask

        ask(new_pool(self.opts, Pool, StateParser))

    def pools(self) -> Mapping[str, PoolUse]:
        """Of the client's connections."""
        return {} if self.instance is None else {"connections": self.instance.connection_pool.use()}

    def new_client(self) -> Any:
        """A client that has not connected yet."""
        from opa.plugins.driver_redis import clients

        return clients.new_client(self.opts, is_async=self.is_async)

    def new_thread_client(self) -> Any:
        """A `redis.Redis` of the same server, for threads beside the component: no breaker knows of it."""
        from redis import Redis

        from opa.plugins.driver_redis.clients import Pool, new_pool
        from opa.redis_clients import StateParser

        return Redis.from_pool(new_pool(self.opts, Pool, StateParser))


class Aioredis(_RedisDriver):
    """Gives a `redis.asyncio.Redis`."""

    name = "redis-aioredis"
    is_async = True

    async def connect(self) -> None:
        """Make the client, and let the breaker guard its connections."""
        self.instance = self.new_client()
        self.instance.connection_pool.guard_by(self.breaker)

    async def validate(self) -> None:
        """Ask the server whether it answers."""
        await self.instance.ping()

    async def disconnect(self) -> None:
        """Close the client and its connections."""
        if self.instance is not None:
            await self.instance.aclose()


class Walrus(_RedisDriver):
    """Gives a `walrus.Database`."""

    name = "redis-walrus"
    is_async = False

    def connect(self) -> None:
        """Make the client, and let the breaker guard its connections."""
        self.instance = self.new_client()
        self.instance.connection_pool.guard_by(self.breaker)

    def validate(self) -> None:
        """Ask the server whether it answers."""
        self.instance.ping()

    def disconnect(self) -> None:
        """Close the client and its connections."""
        if self.instance is not None:
            self.instance.close()
            self.instance.connection_pool.disconnect()  # which `close` leaves alone, since it was given

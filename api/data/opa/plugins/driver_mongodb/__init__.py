"""Drivers for MongoDB: `mongodb-async-motor`, `mongodb-async-pymongo` and synchronous `mongodb-pymongo`.

The clients are imported where a component uses one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opa import Driver, PoolUse, lazy_errors

if TYPE_CHECKING:
    from opa.mongodb_clients import GuardedAsyncClient, GuardedClient
    from opa.plugins.driver_mongodb.pool_watch import PoolWatch


class _MongodbDriver(Driver):
    """What the drivers have in common."""

    connection_errors = lazy_errors("pymongo.errors:ConnectionFailure")
    permanent_errors = lazy_errors(
        "pymongo.errors:ConfigurationError",
        "pymongo.errors:OperationFailure",
        "builtins:TypeError",
        "builtins:ValueError",
    )
    guards_client = True
    pool_watch: PoolWatch | None = None
    waits_for_host = True  # the client is imported to prepare

    def prepare(self) -> None:
        """Check the options.

        Raises:
            ConfigurationError: the client does not know one of them.
            TypeError: one has a value of the wrong type.
            ValueError: the same, or the URL is of no use; the message does not repeat it, for its password.
        """
        from opa.plugins.driver_mongodb.clients import check

        check(self.opts)

    def refusal(self, problem: str) -> Exception:
        from pymongo.errors import ServerSelectionTimeoutError

        return ServerSelectionTimeoutError(problem)

    def watched(self) -> dict[str, Any]:
        """What a client is made with, by which it is known how its connections are used: only where that is observed.

        A client of pymongo says it to listeners alone, at each call.
        """
        if self.tell_wait is None:
            return {}
        from opa.plugins.driver_mongodb.pool_watch import PoolWatch

        self.pool_watch = PoolWatch(self.waiting)
        return {"event_listeners": [self.pool_watch]}

    def pools(self) -> Mapping[str, PoolUse]:
        """Of the connections to all its servers together."""
        return {} if self.pool_watch is None or self.instance is None else {"connections": self.pool_watch.use()}

    def probe(self) -> None:
        """Ask whichever server answers, by a client of its own."""
        from opa.plugins.driver_mongodb.clients import ask

        ask(self.opts)


class MongodbMotorAsync(_MongodbDriver):
    """Gives an `AsyncIOMotorClient` of motor."""

    name = "mongodb-async-motor"

    async def connect(self) -> None:
        """Make the client, and let the breaker guard it."""
        from opa.plugins.driver_mongodb.clients import GuardedMotorClient, new_client

        bound = {"io_loop": asyncio.get_running_loop(), **self.watched()}
        self.instance = new_client(GuardedMotorClient, self.opts, **bound)
        client: GuardedClient = self.instance.delegate
        client.guard_by(self.breaker)

    async def validate(self) -> None:
        """Ask the server whether it answers."""
        await self.instance.admin.command("ping")

    async def disconnect(self) -> None:
        """Close the client."""
        if self.instance is not None:
            self.instance.close()


class MongodbPymongoAsync(_MongodbDriver):
    """Gives an `AsyncMongoClient` of pymongo."""

    name = "mongodb-async-pymongo"

    async def connect(self) -> None:
        """Make the client, and let the breaker guard it."""
        from opa.mongodb_clients import GuardedAsyncClient
        from opa.plugins.driver_mongodb.clients import new_client

        client: GuardedAsyncClient = new_client(GuardedAsyncClient, self.opts, **self.watched())
        self.instance = client
        client.guard_by(self.breaker)

    async def validate(self) -> None:
        """Ask the server whether it answers."""
        await self.instance.admin.command("ping")

    async def disconnect(self) -> None:
        """Close the client."""
        if self.instance is not None:
            await self.instance.close()


class MongodbPymongo(_MongodbDriver):
    """Gives a `MongoClient` of pymongo."""

    name = "mongodb-pymongo"

    def connect(self) -> None:
        """Make the client, and let the breaker guard it."""
        from opa.mongodb_clients import GuardedClient
        from opa.plugins.driver_mongodb.clients import new_client

        client: GuardedClient = new_client(GuardedClient, self.opts, **self.watched())
        self.instance = client
        client.guard_by(self.breaker)

    def validate(self) -> None:
        """Ask the server whether it answers."""
        self.instance.admin.command("ping")

    def disconnect(self) -> None:
        """Close the client."""
        if self.instance is not None:
            self.instance.close()

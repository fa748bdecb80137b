"""What a driver for MongoDB is made of: clients that know a breaker.

For drivers of plugins; the built-in ones are made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import NetworkTimeout, ServerSelectionTimeoutError
from pymongo.server_description import ServerDescription

from opa._compat import pymongo as compat

if TYPE_CHECKING:
    from opa.core.breaker import Breaker

__all__ = ["GuardedAsyncClient", "GuardedClient"]

NOT_KNOWN = ServerSelectionTimeoutError("no server is known")


# Before each operation a client of pymongo selects a server, and waits for one where it knows none. There is no public
# way to end that; where a release selects in another way, all waits as it does in pymongo.
class GuardedClient(compat.Client):
    """A `MongoClient` that knows of a breaker, once `guard_by` was called."""

    opa_breaker: Breaker | None = None

    def guard_by(self, breaker: Breaker) -> None:
        """Refuse while it is open, tell it of failures, and end what waits when it opens."""
        self.opa_breaker = breaker
        breaker.when_open(self.let_go)

    def opa_select_server(self, *args: Any, **options: Any) -> Any:
        """Called before each operation.

        Raises:
            ServerSelectionTimeoutError: the breaker is open, or no server is known.
        """
        breaker = self.opa_breaker
        if breaker is not None:
            breaker.check_in_thread()
            if not self.topology_description.has_known_servers:
                breaker.failed(NOT_KNOWN)
                breaker.check_in_thread()
        return super().opa_select_server(*args, **options)

    def let_go(self) -> None:
        """End the operations that wait for an answer."""
        for address in self.topology_description.server_descriptions():
            self.opa_note_gone(ServerDescription(address, error=NetworkTimeout("it does not answer")))


class GuardedAsyncClient(compat.AsyncClient):
    """An `AsyncMongoClient` that knows of a breaker, once `guard_by` was called."""

    opa_breaker: Breaker | None = None

    def guard_by(self, breaker: Breaker) -> None:
        """Refuse while it is open, tell it of failures, and end what waits when it opens."""
        self.opa_breaker = breaker
        breaker.when_open(self.let_go)

    async def opa_select_server(self, *args: Any, **options: Any) -> Any:
        """Called before each operation.

        Raises:
            ServerSelectionTimeoutError: the breaker is open, or no server is known.
        """
        breaker = self.opa_breaker
        if breaker is not None:
            await breaker.checked()
            if not self.topology_description.has_known_servers:
                breaker.failed(NOT_KNOWN)
                await breaker.checked()
        return await super().opa_select_server(*args, **options)

    async def let_go(self) -> None:
        """End the operations that wait for an answer."""
        for address in self.topology_description.server_descriptions():
            await self.opa_note_gone(ServerDescription(address, error=NetworkTimeout("it does not answer")))

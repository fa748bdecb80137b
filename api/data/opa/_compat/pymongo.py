"""What is private in pymongo, and used here.

Names of attributes begin with `opa_`: a client of pymongo has databases by names of any other kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient, MongoClient

if TYPE_CHECKING:
    from pymongo.server_description import ServerDescription


class Client(MongoClient[Any]):
    """A `MongoClient` that is told which servers are gone, and says when it needs one."""

    def _select_server(self, *args: Any, **options: Any) -> Any:
        return self.opa_select_server(*args, **options)

    def opa_select_server(self, *args: Any, **options: Any) -> Any:
        """Called by pymongo before each operation, and waits where no server is known."""
        return super()._select_server(*args, **options)

    def opa_note_gone(self, gone: ServerDescription) -> None:
        """Take note that a server is gone: what waits for its answer ends."""
        self._topology.on_change(gone, reset_pool=True, interrupt_connections=True)


class AsyncClient(AsyncMongoClient[Any]):
    """The same for an event loop."""

    async def _select_server(self, *args: Any, **options: Any) -> Any:
        return await self.opa_select_server(*args, **options)

    async def opa_select_server(self, *args: Any, **options: Any) -> Any:
        """Called by pymongo before each operation, and waits where no server is known."""
        return await super()._select_server(*args, **options)

    async def opa_note_gone(self, gone: ServerDescription) -> None:
        """Take note that a server is gone: what waits for its answer ends."""
        await self._topology.on_change(gone, reset_pool=True, interrupt_connections=True)

"""The private names of pymongo that are used are there, with the shapes that are relied on."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import NetworkTimeout
from pymongo.server_description import ServerDescription

from opa._compat import pymongo as compat

GONE = ServerDescription(("nowhere.invalid", 1), error=NetworkTimeout("gone"))


def test_client_selects_a_server_before_each_operation() -> None:
    asked: list[str] = []

    class Noting(compat.Client):
        def opa_select_server(self, *args: Any, **options: Any) -> Any:
            asked.append("server")
            raise NetworkTimeout("enough")

    with Noting("mongodb://nowhere.invalid", serverselectiontimeoutms=1) as client, pytest.raises(NetworkTimeout):
        client.admin.command("ping")
    assert asked


def test_asynchronous_client_selects_a_server_before_each_operation() -> None:
    asked: list[str] = []

    class Noting(compat.AsyncClient):
        async def opa_select_server(self, *args: Any, **options: Any) -> Any:
            asked.append("server")
            raise NetworkTimeout("enough")

    async def ping() -> None:
        async with Noting("mongodb://nowhere.invalid", serverselectiontimeoutms=1) as client:
            await client.admin.command("ping")

    with pytest.raises(NetworkTimeout):
        asyncio.run(ping())
    assert asked


@pytest.mark.parametrize("client", [MongoClient, AsyncMongoClient])
def test_on_change_of_a_topology_takes_a_description_of_a_server(client: Any) -> None:
    made = client("mongodb://nowhere.invalid", connect=False)
    names = inspect.signature(made._topology.on_change).parameters
    assert list(names) == ["server_description", "reset_pool", "interrupt_connections"]
    is_async = client is AsyncMongoClient
    assert inspect.iscoroutinefunction(made._topology.on_change) is is_async
    assert inspect.iscoroutinefunction(client._select_server) is is_async


def test_client_takes_note_of_a_server_that_is_gone() -> None:
    client: Any = compat.Client("mongodb://nowhere.invalid:1", serverselectiontimeoutms=1)
    with client:
        client.opa_note_gone(GONE)
        assert not client.topology_description.has_known_servers

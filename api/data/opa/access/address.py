"""Where a request comes from."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

current_address: ContextVar[str | None] = ContextVar("opa_address", default=None)
"""Of the request that this code runs for, once something has asked who sends it."""


def host_of(connection: HTTPConnection) -> str:
    """The address of the client, as the server sees it; empty where it does not know it."""
    client = connection.scope.get("client")
    return str(client[0]) if client else ""

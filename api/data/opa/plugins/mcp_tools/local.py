"""Who calls over standard input and output, where that is not said by a key."""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import HTTPConnection

from opa import Actor, config, get_plugin_manager
from opa.plugins.mcp_tools.caller import LOCAL


class LocalUser:
    """An authenticator: knows the requests that `opa mcp` makes for the user of the system, in development."""

    async def __call__(self, connection: HTTPConnection) -> Actor | None:
        """The user, if it is such a request."""
        return cast("Actor | None", connection.scope.get(LOCAL))


async def actor_of_key() -> Actor | None:
    """Whose MCP_KEY is; None without one, and where nobody knows it: its requests are refused.

    Raises:
        OpaError: what would know does not answer.
    """
    if not config.MCP_KEY:
        return None
    headers = [(b"authorization", f"Bearer {config.MCP_KEY}".encode())]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
    for authenticator in get_plugin_manager().groups.get("authenticators").values():
        found = await authenticator(HTTPConnection(scope))
        if found is not None:
            return cast("Actor", found)
    return None

"""The route of MCP_URL: each request stands for itself, so that any process of the api can answer it."""

from __future__ import annotations

import logging
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from opa import Actor, Requires, config, get_plugin_manager, get_router, is_development, is_from_own_page, is_own_host
from opa.plugins.mcp_tools.caller import USE, Caller, by_request
from opa.plugins.mcp_tools.server import Tools, server_for

LARGEST = 4_000_000
"""Bytes of a message, beside MAX_BODY_BYTES."""
_TOOLS = f"{__name__}.tools"

router = get_router(include_in_schema=False)
_require = Requires(USE).dependency
# It says of each message that a session begins and ends.
logging.getLogger("mcp").setLevel(logging.WARNING)


async def answer_message(request: Request) -> Response:
    """What the protocol answers to one message.

    Raises:
        HTTPException: nobody is known (401), the scope is missing, or a page of another site has sent it (403).
        ClientDisconnect: the client is gone before all of the message has come.
    """
    _refuse_foreign(request)
    actor: Actor | None = None
    if not is_development():
        actor = await _require(request)
    kept = get_plugin_manager().kept
    tools = kept.get(_TOOLS)
    if tools is None:
        tools = kept[_TOOLS] = Tools(request.app)
    return _Answer(tools, by_request(request, actor), await request.body())


class _Answer(Response):
    """Lets the library answer, for one message."""

    def __init__(self, tools: Tools, caller: Caller, message: bytes) -> None:
        super().__init__()
        self._message: bytes | None = message
        self._server = server_for(tools, lambda _context: caller)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def received() -> Message:
            if self._message is None:
                return await receive()
            body, self._message = self._message, None
            return {"type": "http.request", "body": body, "more_body": False}

        sessions = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=LARGEST
        )
        async with sessions.run():
            await sessions.handle_request(scope, received, send)


def _refuse_foreign(request: Request) -> None:
    """See that no page of another site has sent the message.

    Raises:
        HTTPException: one has, or may have by a name that was pointed here (403).
    """
    headers = request.headers
    if ("origin" in headers or "sec-fetch-site" in headers) and not is_from_own_page(request):
        origins: Any = config.ALLOW_ORIGINS
        if headers.get("origin") not in origins and "*" not in origins:
            raise HTTPException(403, "this must come from a page of this host")
    if is_development() and not is_own_host(request.url.hostname or ""):
        raise HTTPException(
            403, "in development, tools answer to localhost, IP addresses, and the names in TRUSTED_HOSTS"
        )


if config.MCP_URL:
    router.add_route(config.MCP_URL, answer_message, methods=["POST"])

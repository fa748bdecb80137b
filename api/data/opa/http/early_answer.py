"""Answers to requests that are refused before anything of a plugin's runs."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send


async def refuse(scope: Scope, receive: Receive, send: Send, *, status: int, detail: str) -> None:
    """Answer with `status`, and `detail` as FastAPI has it; a websocket's handshake too.

    Where a server cannot answer a handshake so, it is closed, which is a 403.
    """
    response = JSONResponse({"detail": detail}, status_code=status)
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})

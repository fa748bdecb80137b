"""A request to the application in this process, whose answer is kept up to a size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from opa import get_request_id, log
from opa.plugins.mcp_tools.caller import Caller
from opa.plugins.mcp_tools.tool import ToolError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

MOST = 1_000_000
"""Bytes of an answer: more would fill what an assistant can read many times over."""
FAILED = "the application failed; its log has the error"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        method: of HTTP.
        path: decoded, as it is routed.
        query: encoded.
        headers: besides those that say who calls; names in lower case.
        body: the bytes.
    """

    method: str
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """The answer: its status, its headers by name in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def answer_to(app: ASGIApp, request: Request, caller: Caller) -> Response:
    """Have the application answer, as if a server had got the request from the caller.

    Raises:
        ToolError: the answer is too large, or there is none.
    """
    exchange = _Exchange(request.body)
    try:
        await app(_scope(request, caller), exchange.receive, exchange.send)
    except Exception as error:
        # The application has answered 500 before it raises the error again, which a server would log.
        if not exchange.refusal:
            log.opt(exception=error).error("{} {}, called as a tool, failed", request.method, request.path)
        if exchange.status < 500 and not exchange.refusal:
            raise ToolError(FAILED) from error
    if exchange.refusal:
        raise ToolError(exchange.refusal)
    if not exchange.status:
        raise ToolError(FAILED)
    return Response(exchange.status, exchange.headers, b"".join(exchange.parts))


def _scope(request: Request, caller: Caller) -> dict[str, Any]:
    headers = [*caller.headers, *request.headers]
    if request.body:
        headers.append((b"content-length", str(len(request.body)).encode()))
    if request_id := get_request_id():
        headers.append((b"x-request-id", request_id.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        **caller.base,
        "state": dict(caller.base.get("state") or {}),
        "extensions": {},
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "replace"),
        "query_string": request.query,
        "headers": headers,
    }


class _Exchange:
    """The two directions of one request.

    Attributes:
        status: 0 before there is an answer.
        headers: those of the answer.
        parts: its body.
        refusal: why it was cut off; empty where it was not.
    """

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.refusal = ""
        self._body: bytes | None = body
        self._count = 0
        self._is_over = asyncio.Event()

    async def receive(self) -> Message:
        """The body, and at the end of the answer that the client is gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer.

        Raises:
            ClientDisconnect: it is none that anyone takes.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", ())
            }
            if self.headers.get("content-type", "").startswith("text/event-stream"):
                self._refuse("the answer is a stream of events, which has no end")
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            self._count += len(body)
            if self._count > MOST:
                self._refuse(f"the answer has more than {MOST:,} bytes: ask for less of it")
            self.parts.append(body)
            if not message.get("more_body", False):
                self._is_over.set()

    def _refuse(self, why: str) -> None:
        self.refusal = why
        self.parts.clear()
        self._is_over.set()
        raise ClientDisconnect

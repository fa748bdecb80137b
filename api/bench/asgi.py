"""Requests to an ASGI application in this process, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """Start an application, and stop it in the end.

    Raises:
        RuntimeError: it does not start.
    """
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def send(message: dict[str, str]) -> None:
        if not answer.done():
            answer.set_result(message)

    messages.put_nowait({"type": "lifespan.startup"})
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    serving = asyncio.create_task(app(scope, messages.get, send))
    await asyncio.wait({serving, answer}, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done() or answer.result()["type"] != "lifespan.startup.complete":
        await serving  # its own error says more
        raise RuntimeError(f"the application did not start: {answer.result().get('message')}")
    yield
    messages.put_nowait({"type": "lifespan.shutdown"})
    await serving


def scope_of(path: str, method: str = "GET") -> dict[str, Any]:
    """What a server says of a request without a body."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*")],
        "server": ("localhost", 80),
        "client": ("localhost", 1),
    }


class Caller:
    """Makes requests to an application; what is in the answers goes nowhere.

    Attributes:
        statuses: of the answers.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.statuses: set[int] = set()

    async def request(self, scope: dict[str, Any]) -> None:
        """Make a request."""
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.statuses.add(message["status"])

"""Requests as a server hands them on: with a path that no client has tidied, and one after another in one task."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from starlette.testclient import TestClient
from starlette.types import Message


def ask(client: TestClient, *paths: str, headers: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """What is answered to each path; `headers` go with the first."""

    async def all_of_them() -> list[str]:
        given = [headers, *[()] * len(paths)]
        return [await _ask(client.app, path, more) for path, more in zip(paths, given, strict=False)]

    assert client.portal is not None
    return client.portal.call(all_of_them)


async def _ask(app: Any, path: str, headers: tuple[tuple[str, str], ...]) -> str:
    text, _, query = path.partition("?")
    body = b""
    there: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not there:
            await asyncio.Event().wait()  # the client stays
        return there.pop()

    async def send(message: Message) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(text),
        "raw_path": text.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *((name.lower().encode(), value.encode()) for name, value in headers)],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    await app(scope, receive, send)
    return body.decode()

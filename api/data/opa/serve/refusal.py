"""What a client is told in place of the application."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opa.http.cors import Cors

    Headers = Iterable[tuple[bytes, bytes]]

RETRY_AFTER = b"1"
"""Seconds after which a client may try again that was refused because there is too much to do."""


def cors_headers(cors: Cors | None, headers: Headers) -> list[tuple[bytes, bytes]]:
    """What lets a page of another origin read the answer to a request with these `headers`."""
    return cors.headers_for({"headers": headers}) if cors is not None else []


def last_answer(status: int, detail: str, headers: Headers) -> bytes:
    """An answer behind which the connection is closed, as it is sent.

    Args:
        status: its status.
        detail: what it says.
        headers: those that it has besides.
    """
    body = json.dumps({"detail": detail}).encode()
    headers = [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", RETRY_AFTER))
    lines = [name + b": " + value for name, value in headers if name != b"connection"]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return b"\r\n".join([first, *lines, b"connection: close", b"", body])


async def too_much_to_do(scope: Any, receive: Any, send: Any, *, cors: Cors | None, closes: bool) -> None:
    """An application that says so.

    Args:
        scope: of the request.
        receive: as ASGI has it.
        send: as ASGI has it.
        cors: of the api.
        closes: whether the connection is closed behind the answer.
    """
    body = b'{"detail":"the server has too much to do"}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", RETRY_AFTER),
        *cors_headers(cors, scope["headers"]),
    ]
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})

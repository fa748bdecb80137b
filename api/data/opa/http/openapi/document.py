"""An OpenAPI document as the bytes that are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

# How deep a document is taken apart to be encoded: to the operations of a path and the schemas of the components.
# Encoded in one piece, one of 5 MB would hold every other thread for 0.1 s.
DEPTH = 3


class Document(NamedTuple):
    """An OpenAPI document, ready to be sent.

    Attributes:
        body: JSON.
        compressed: the same through gzip.
        etag: the entity tag of both; a weak one, since it does not tell them apart (RFC 9110, 8.8.3).
        servers: the member of this name.
        place: from where to where in `body` its value stands, where there is one.
    """

    body: bytes | memoryview
    compressed: bytes | memoryview
    etag: str
    servers: list[dict[str, Any]]
    place: tuple[int, int] | None

    def below(self, root_path: str) -> Document:
        """The document for a client that reaches the application below `root_path`: the first of its servers."""
        if not root_path or root_path in {server.get("url") for server in self.servers}:
            return self
        servers = [{"url": root_path}, *self.servers]
        start, end = self.place or (len(self.body) - 1, len(self.body) - 1)
        before = bytes(self.body[:start]) + (b"" if self.place else b',"servers":')
        text = as_json(servers)
        place = (len(before), len(before) + len(text))
        return _document(before + text + bytes(self.body[end:]), servers, place)


def encode(schema: dict[str, Any]) -> Document:
    """The document of what `app.openapi()` gives; a value in it that is `bytes` is JSON already.

    Raises:
        ValueError: there is a number that JSON does not have.
        TypeError: there is an object that JSON does not have.
    """
    parts, size, place = [b"{"], 1, None
    for name, value in schema.items():
        label = (b"" if size == 1 else b",") + as_json({name: 0})[1:-2]  # as JSON has a name that is not a text
        text = b"".join(_encoded(value, DEPTH - 1))
        parts += [label, text]
        size += len(label) + len(text)
        if name == "servers":
            place = (size - len(text), size)
    parts.append(b"}")
    return _document(b"".join(parts), schema.get("servers") or [], place)


def _document(body: bytes, servers: list[dict[str, Any]], place: tuple[int, int] | None) -> Document:
    etag = f'W/"{blake2b(body, digest_size=16).hexdigest()}"'
    import gzip  # with it, each start would import what the first document needs

    return Document(body, gzip.compress(body, 6, mtime=0), etag, servers, place)


def _encoded(value: Any, depth: int) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif depth and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        yield b"{"
        comma = b""
        for key, member in value.items():
            yield comma + as_json(key) + b":"
            yield from _encoded(member, depth - 1)
            comma = b","
        yield b"}"
    else:
        yield as_json(value)


def as_json(value: Any) -> bytes:
    """As Starlette's JSONResponse has it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

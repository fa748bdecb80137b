"""The redirect to the same path with a slash at its end, or without: it does not lead where a forged `Host` says.

Starlette and FastAPI put the `Host` of the request into it, in routers, mounted applications and static files. A client
may write anything there, and a cache may keep the answer for others.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import URL
from starlette.types import Message, Scope

STATUS = 307


def stays_here(message: Message, scope: Scope) -> Message:
    """The same answer, with a path in place of the URL of this host where it is a redirect for the sake of a slash.

    Args:
        message: the start of an answer with the status `STATUS`.
        scope: that of the request.
    """
    headers = [
        (name, _path_alone(value, scope) if name == b"location" else value)
        for name, value in message.get("headers") or ()
    ]
    return {**message, "headers": headers}


def _path_alone(location: bytes, scope: Scope) -> bytes:
    try:
        there = urlsplit(location.decode("ascii"))
        here = URL(scope={**scope, "query_string": b""})
        is_here = (there.scheme, there.netloc) == (here.scheme, here.netloc)
        is_for_slash = is_here and _quoted(here.path).rstrip("/") == _quoted(there.path).rstrip("/")
    except ValueError:
        return location
    if not is_for_slash:
        return location
    # Two slashes at the beginning would be the name of another host.
    path = f"/%2F{there.path[2:]}" if there.path.startswith("//") else there.path or "/"
    return (f"{path}?{there.query}" if there.query else path).encode("ascii")


def _quoted(path: str) -> str:
    """The path as a redirect has it."""
    return quote(path, safe=":/%#?=@[]!$&'()*+,;")

"""The redirect to the same path with a slash at its end, or without: it does not lead where a forged `Host` says.

Starlette and FastAPI put the `Host` of the request into it, in routers, mounted applications and static files. A client
may write anything there, and a cache may keep the answer for others.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from starlette.datastructures import URL
from starlette.types import Scope

STATUS = 307

Headers = list[tuple[bytes, bytes]]


def stays_here(headers: Headers, scope: Scope) -> Headers:
    """The same headers, with a path in place of the URL of this host where it is a redirect for the sake of a slash.

    Args:
        headers: of an answer with the status `STATUS`.
        scope: that of the request.
    """
    return [(name, _path_alone(value, scope) if name == b"location" else value) for name, value in headers]


def _path_alone(location: bytes, scope: Scope) -> bytes:
    try:
        there, mark, query = location.decode("ascii").partition("?")
        is_for_slash = any(_quoted(here).rstrip("/") == there.rstrip("/") for here in _urls_of(scope))
    except ValueError:
        return location
    host = there.find("://") + 3
    if not is_for_slash or host < 3:
        return location
    at = there.find("/", host)
    path = there[at:] if at >= 0 else "/"
    # Two slashes at the beginning would be the name of another host.
    path = f"/%2F{path[2:]}" if path.startswith("//") else path
    return f"{path}{mark}{query}".encode("ascii")


def _urls_of(scope: Scope) -> Iterator[str]:
    """The URL of the request without a query: put together quickly, and as Starlette has it, which takes long."""
    for name, value in scope["headers"]:
        if name == b"host":
            yield f"{scope.get('scheme', 'http')}://{value.decode('latin-1')}{scope['path']}"
            break
    yield str(URL(scope={**scope, "query_string": b""})).partition("?")[0]


def _quoted(url: str) -> str:
    """A URL as a redirect has it."""
    return quote(url, safe=":/%#?=@[]!$&'()*+,;")

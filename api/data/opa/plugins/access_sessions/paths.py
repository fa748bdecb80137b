"""Paths of our own: where a browser is sent, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

LONGEST = 2048

_IN_PATH = "/:@!$&'()*+,;=~"
_MAX_DECODINGS = 3
_PRINTABLE = re.compile(r"/[!-~]*")
_FOREIGN = re.compile(r"//|[\\\x00-\x1f\x7f]")
"""What a browser, or a proxy that decodes, may read as the beginning of another host."""


def own_path(text: str) -> str | None:
    """`text` if it leads to a path of this host, however it is read; else None."""
    if len(text) > LONGEST or _PRINTABLE.fullmatch(text) is None or "\\" in text:
        return None
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    for _ in range(_MAX_DECODINGS):
        if _FOREIGN.search(path):
            return None
        decoded = unquote(path)
        if decoded == path:
            return text
        path = decoded
    return None


def prefix(connection: HTTPConnection) -> str:
    """The path under which a proxy serves the application; empty for none. A middleware may take it from a header."""
    scope = connection.scope
    # In an application that is mounted, `root_path` has the path of that as well.
    path = str(scope.get("app_root_path", scope.get("root_path", ""))).strip("/\\")
    return f"/{quote(path, safe=_IN_PATH + '%')}" if path else ""


def with_way_back(connection: HTTPConnection, page: str) -> str:
    """The URL of `page`, with the path that was asked for as `next`, where that is one of ours."""
    root, path = prefix(connection), quote(connection.scope["path"], safe=_IN_PATH)
    if root and not f"{path}/".startswith(f"{root}/"):
        path = root + path
    query = connection.scope.get("query_string", b"").decode("latin-1")
    back = own_path(f"{path}?{query}" if query else path)
    return f"{root}{page}?{urlencode({'next': back})}" if back else root + page

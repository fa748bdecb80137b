"""Where a request comes from: a page of ours, or one of others, to which browsers add our cookies as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException, WebSocketException

from opa import is_from_own_page

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing, and whose answers no page of another origin can read."""
REFUSED = "a request with a session must come from a page of this host"
POLICY_VIOLATION = 1008


def refuse_foreign(connection: HTTPConnection) -> None:
    """See that a request that may change something, or opens a websocket, comes from a page of ours.

    Raises:
        HTTPException: it does not, or does not say so (403).
        WebSocketException: the same, of a handshake.
    """
    if connection.scope["type"] == "websocket":
        if not is_from_own_page(connection):
            raise WebSocketException(POLICY_VIOLATION, REFUSED)
    elif connection.scope["method"] not in SAFE_METHODS and not is_from_own_page(connection):
        raise HTTPException(403, REFUSED)

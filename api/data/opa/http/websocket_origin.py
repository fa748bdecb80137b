"""Which pages may open a websocket: those of the host itself, and of the origins that ALLOW_ORIGINS names.

A browser asks nobody before it opens one to another site, and sends that site's cookies along: without this check, a
page of anyone could use a websocket as the user who looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from opa.settings.hosts import OF_ANYBODY

_DEFAULT_PORTS = (":80", ":443")


class OriginCheck:
    """Tells whether a page may open a websocket.

    Args:
        allowed: the origins of ALLOW_ORIGINS.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def problem(self, scope: Scope) -> str | None:
        """Why the page that asks may not; None where it may, or where it is no page that asks.

        Args:
            scope: of the handshake.
        """
        origins, host, has_credentials = set(), b"", False
        for name, value in scope["headers"]:
            if name == b"origin":
                origins.add(value)
            elif name == b"host":
                host = value
            elif name in (b"cookie", b"authorization"):
                has_credentials = True
        if not origins:
            return None
        if len(origins) > 1:
            return "there is more than one Origin header"
        origin = origins.pop().decode("latin-1")
        is_of_anybody = origin in OF_ANYBODY
        if not is_of_anybody and (
            origin in self._allowed or _place(origin.partition("://")[2]) == _place(host.decode("latin-1"))
        ):
            return None
        entry = origin if origin in self._allowed else "*"
        if entry in self._allowed:
            # As CORS has it: everyone, and nobody with a user's cookies.
            return f"ALLOW_ORIGINS has `{entry}`, which is for pages without cookies" if has_credentials else None
        return "the page is of another origin, which ALLOW_ORIGINS does not name"


def _place(authority: str) -> str:
    """Host and port, of which the scheme's own is left out: behind a proxy the scheme may be another."""
    authority = authority.lower()
    for port in _DEFAULT_PORTS:
        authority = authority.removesuffix(port)
    return authority

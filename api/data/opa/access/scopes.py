"""Scopes: the words by which an actor is allowed to do something, such as `shop:write`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

EVERYTHING = "*"
BELOW = ":*"


def covers(held: Collection[str], scope: str) -> bool:
    """Whether someone with the scopes `held` has `scope`.

    `shop:*` covers all that begins with `shop:`, and `*` covers everything. A star means nothing in another place.
    """
    if scope in held or EVERYTHING in held:
        return True
    parts = scope.split(":")
    return any(":".join(parts[:count]) + BELOW in held for count in range(1, len(parts)))


def missing(held: Collection[str], scopes: Iterable[str]) -> tuple[str, ...]:
    """Those of `scopes` that someone with the scopes `held` does not have."""
    return tuple(scope for scope in scopes if not covers(held, scope))

"""Which routes call which components in a thread: found out while they do, since a plugin need not say it anywhere."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.core.breaker import Breaker

current_scope: ContextVar[Any] = ContextVar("opa_scope", default=None)
"""The ASGI scope of the request that this code runs for, with the endpoint that was found for it."""

NONE: frozenset[Breaker] = frozenset()

# By the id of the endpoint, which need not have a hash; one that is made anew in the place of another is taken for a
# user of what that has used.
_uses: dict[int, frozenset[Breaker]] = {}


def note_use(breaker: Breaker) -> None:
    """The route that this code runs for, if it does so for one, calls the component of `breaker`."""
    scope = current_scope.get()
    if scope is None:
        return
    endpoint = scope.get("endpoint")
    known = _uses.get(id(endpoint), NONE)
    if breaker not in known and endpoint is not None:
        _uses[id(endpoint)] = known | {breaker}


def uses_of_route() -> frozenset[Breaker]:
    """The breakers of the components that the route which this code runs for is known to call."""
    scope = current_scope.get()
    return NONE if scope is None else _uses.get(id(scope.get("endpoint")), NONE)

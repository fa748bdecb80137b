"""Which routes call which components in a thread: found out while they do, since a plugin need not say it anywhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opa.context import current_context

if TYPE_CHECKING:
    from opa.core.component_observers import TellWait


class Used(Protocol):
    """The breaker of a component that a route calls."""

    is_armed: bool
    is_open: bool
    tell_wait: TellWait | None

    def suspect(self) -> None:
        """Have the component asked whether it hangs."""

    def refusal(self) -> Exception:
        """The error for a call that is refused."""

    async def checked(self) -> None:
        """Raise where the component is refused; while it is being asked, this waits for its answer."""


NONE: frozenset[Used] = frozenset()
_NOBODY = (None, NONE)

# By the id of the endpoint, which need not have a hash; it stands here itself, so that no other gets the id meanwhile.
_uses_cache: dict[int, tuple[object, frozenset[Used]]] = {}
_lock = threading.Lock()
_GIVEN = "opa.given"
"""Of the scope of a request."""
MAX_ENDPOINTS = 20_000
"""Endpoints at most: some frameworks make one for each request."""


def note_use(breaker: Used) -> None:
    """The route that this code runs for, if it does so for one, calls the component of `breaker`."""
    scope = current_context.get().scope
    if scope is None:
        return
    endpoint = scope.get("endpoint")
    if endpoint is None or breaker in _used_by(endpoint):
        return
    with _lock:
        if breaker.is_armed and (id(endpoint) in _uses_cache or len(_uses_cache) < MAX_ENDPOINTS):
            _uses_cache[id(endpoint)] = endpoint, _used_by(endpoint) | {breaker}


def note_given(breaker: Used) -> None:
    """The request that this code runs for has been given the component of `breaker`, whose client does not ask it."""
    scope = current_context.get().scope
    if scope is not None:
        scope.setdefault(_GIVEN, []).append(breaker)


def take_given() -> Sequence[Used]:
    """The breakers of what the request was given that this code runs for, since this was last asked."""
    scope = current_context.get().scope
    given: Sequence[Used] = () if scope is None else scope.pop(_GIVEN, ())
    return given


def uses_of_route() -> frozenset[Used]:
    """The breakers of the components that the route which this code runs for is known to call."""
    scope = current_context.get().scope
    return NONE if scope is None else _used_by(scope.get("endpoint"))


def forget(breaker: Used) -> None:
    """Its component is connected no more: no route calls it, nor is to keep it alive, and with it its application."""
    with _lock:
        for key, (endpoint, used) in list(_uses_cache.items()):
            if used == {breaker}:
                del _uses_cache[key]
            elif breaker in used:
                _uses_cache[key] = endpoint, used - {breaker}


def _used_by(endpoint: object) -> frozenset[Used]:
    return _uses_cache.get(id(endpoint), _NOBODY)[1]

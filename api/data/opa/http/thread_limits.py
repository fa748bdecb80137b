"""Threads for what is not asynchronous: requests that wait for a component take none from those that do not.

Starlette runs `def` routes in threads, 40 at a time. Where a component hangs, the routes that call it would have all of
them, and the others wait. So the routes that call the same components have a limit of their own, as high as that of all
others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread

from opa.core.component_use import uses_of_route
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.core.breaker import Breaker

_anyio: Any = None
try:  # there is no public way to say which limit holds where none is given
    from anyio._backends import _asyncio as _anyio
except ImportError:  # another version: one limit for all
    _Limiter: Any = object
else:
    _Limiter = getattr(_anyio, "CapacityLimiter", object)


class ComponentLimiter(_Limiter):  # type: ignore[misc]  # its class is known when it runs
    """anyio's limit, with another of the same height for each set of components that a route is known to call."""

    def __init__(self, total_tokens: float) -> None:
        self._others: dict[frozenset[Breaker], Any] = {}
        self._lent: dict[object, Any] = {}
        super().__init__(total_tokens)

    @property
    def total_tokens(self) -> float:
        """Threads at a time, of each of them; it can be set."""
        value: float = _Limiter.total_tokens.fget(self)
        return value

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        _Limiter.total_tokens.fset(self, value)
        for other in self._others.values():
            other.total_tokens = value

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a thread; called in the task of the request."""
        breakers = uses_of_route()
        if not breakers:
            await super().acquire_on_behalf_of(borrower)
            return
        other = self._others.get(breakers)
        if other is None:
            # Those of components that are connected no more would keep them alive, for as long as the event loop lives.
            connected = {key: one for key, one in self._others.items() if all(each.is_armed for each in key)}
            other = _Limiter(self.total_tokens)
            self._others = {**connected, breakers: other}
        if other.available_tokens <= 0:  # they may be busy, or wait for a component that hangs
            for breaker in breakers:
                breaker.suspect()
        await other.acquire_on_behalf_of(borrower)
        self._lent[borrower] = other

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give it back."""
        other = self._lent.pop(borrower, None)
        if other is None:
            super().release_on_behalf_of(borrower)
        else:
            other.release_on_behalf_of(borrower)


def install() -> None:
    """From now on it holds in this event loop."""
    try:
        limiter = anyio.to_thread.current_default_thread_limiter()
        if not isinstance(limiter, ComponentLimiter):
            _anyio._default_thread_limiter.set(ComponentLimiter(limiter.total_tokens))
    except Exception as error:  # noqa: BLE001 - another version of anyio costs the limits of their own, never a start
        log.debug(f"all threads have one limit: {type(error).__name__}: {error}")

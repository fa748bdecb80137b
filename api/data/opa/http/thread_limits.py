"""Threads for what is not asynchronous: requests that wait for a component take none from those that do not.

Starlette runs `def` routes in threads, 40 at a time. Where a component hangs, the routes that call it would have all of
them, and the others wait. So the routes that call the same components have a limit of their own, as high as that of all
others. When such a component is refused from now on, those that waited for a thread meanwhile run a few at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import anyio.to_thread

from opa._compat.anyio import Limiter, set_thread_limiter
from opa.context import current_context
from opa.core.component_observers import THREAD, measured
from opa.core.component_use import Used, take_given, uses_of_route
from opa.core.hooks import is_async_function
from opa.logging.logger import log

MIN_DRAINING_THREADS = 4
"""Threads for requests that have waited for one until their component was refused. Each needs but a moment, and as many
as there may be would take the event loop and the interpreter from all others until the last of them is done."""
CHECK_INTERVAL = 0.1
"""Seconds after which they get twice as many, unless there are fewer of them: their route does other work instead."""


class Share(Limiter):  # type: ignore[misc]  # its class is known when it runs
    """The limit of the routes that call the same components.

    Attributes:
        breakers: of these components.
    """

    breakers: frozenset[Used] = frozenset()

    def __init__(self, total_tokens: float) -> None:
        self._height = total_tokens
        self._few = MIN_DRAINING_THREADS
        self._is_draining = self._was_drained = False
        self._waited = 0
        self._before: set[object] = set()
        super().__init__(total_tokens)

    def set_height(self, value: float) -> None:
        """Threads at a time from now on."""
        self._height = value
        self._set_tokens()

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a thread."""
        if self._was_drained and not self._is_refused():
            self._was_drained = False
        await super().acquire_on_behalf_of(borrower)

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give a thread back."""
        if self._is_draining:
            self._before.discard(borrower)
            self._set_tokens()
        elif not self._was_drained and self._is_refused():
            self._begin_to_drain(borrower)
        super().release_on_behalf_of(borrower)

    def _is_refused(self) -> bool:
        return any(breaker.is_open for breaker in self.breakers)

    def _begin_to_drain(self, borrower: object) -> None:
        now = self.statistics()
        self._waited = now.tasks_waiting
        if self._waited:
            self._is_draining = self._was_drained = True
            self._few = MIN_DRAINING_THREADS
            self._before = {*now.borrowers} - {borrower}  # they may hang for longer, and are not to be waited for
            self._set_tokens()
            asyncio.get_running_loop().call_later(CHECK_INTERVAL, self._look)

    def _look(self) -> None:
        waiting = self.statistics().tasks_waiting
        if not waiting or not self._is_refused():
            self._is_draining = False
            self._before.clear()
        else:
            if waiting >= self._waited and self._few < self._height:
                self._few *= 2
            self._waited = waiting
            asyncio.get_running_loop().call_later(CHECK_INTERVAL, self._look)
        self._set_tokens()

    def _set_tokens(self) -> None:
        few = len(self._before) + self._few
        self.total_tokens = min(few, self._height) if self._is_draining else self._height


class ComponentLimiter(Limiter):  # type: ignore[misc]  # its class is known when it runs
    """anyio's limit, with another of the same height for each set of components that a route is known to call."""

    def __init__(self, total_tokens: float) -> None:
        self._others: dict[frozenset[Used], Share] = {}
        self._lent: dict[object, Any] = {}
        super().__init__(total_tokens)

    @property
    def total_tokens(self) -> float:
        """Threads at a time, of each of them; it can be set."""
        value: float = Limiter.total_tokens.fget(self)
        return value

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        Limiter.total_tokens.fset(self, value)
        for other in self._others.values():
            other.set_height(value)

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a thread; called in the task of the request.

        Raises:
            ComponentUnavailableError: the request was given a component that is refused since it waits.
        """
        breakers = uses_of_route()
        if not breakers:
            await super().acquire_on_behalf_of(borrower)
            return
        other = self._others.get(breakers)
        if other is None:
            # Those of components that are connected no more would keep them alive, for as long as the event loop lives.
            connected = {key: one for key, one in self._others.items() if all(each.is_armed for each in key)}
            other = Share(self.total_tokens)
            other.breakers = breakers
            self._others = {**connected, breakers: other}
        given = take_given()
        if other.available_tokens <= 0:  # they may be busy, or wait for a component that hangs
            for breaker in breakers:
                breaker.suspect()
            with ExitStack() as waits:
                for breaker in breakers:
                    waits.enter_context(measured(breaker.tell_wait, THREAD))
                await other.acquire_on_behalf_of(borrower)
            if given and _is_called_in_thread():
                try:
                    await _check(given)
                except BaseException:
                    other.release_on_behalf_of(borrower)
                    raise
        else:
            await other.acquire_on_behalf_of(borrower)
        self._lent[borrower] = other

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give it back."""
        other = self._lent.pop(borrower, None)
        if other is None:
            super().release_on_behalf_of(borrower)
        else:
            other.release_on_behalf_of(borrower)


async def _check(given: Sequence[Used]) -> None:
    """A request that has waited has its components from when they answered, and would wait for them as others do."""
    for breaker in given:
        if breaker.is_open:
            raise breaker.refusal()
        await breaker.checked()


def _is_called_in_thread() -> bool:
    """Whether a thread is for the function of the route, and not for what that does by itself."""
    scope = current_context.get().scope
    return scope is not None and not is_async_function(scope.get("endpoint"))


def install() -> None:
    """From now on it holds in this event loop."""
    try:
        limiter = anyio.to_thread.current_default_thread_limiter()
        if not isinstance(limiter, ComponentLimiter):
            set_thread_limiter(ComponentLimiter(limiter.total_tokens))
    except Exception as error:  # noqa: BLE001 - another version of anyio costs the limits of their own, never a start
        log.debug(f"all threads have one limit: {type(error).__name__}: {error}")

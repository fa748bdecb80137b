"""Open websockets: who is calling is asked again now and then, since a key may be revoked, or a session ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from opa.access.authenticators import authenticators
from opa.access.scopes import missing
from opa.core.running import running_manager
from opa.errors import ComponentUnavailableError, RefusedCredentialError
from opa.http.access.authenticate import ask_one
from opa.http.gone import WATCHED
from opa.logging.logger import log
from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    from opa.http.gone import WatchedWebSocket


TIME_LIMIT = 10.0
"""Seconds in which the authenticators must have answered, together."""


def keep_asking(connection: HTTPConnection, scopes: Iterable[str]) -> None:
    """Have a websocket closed when whoever it was opened by is not known any more, or has lost a scope.

    Args:
        connection: the handshake; of a request, nothing is done.
        scopes: that are needed.
    """
    websocket: WatchedWebSocket | None = connection.scope.get(WATCHED)
    manager: Any = running_manager()
    interval: float | None = manager.config.ACCESS_RECHECK
    if websocket is None or interval is None:
        return
    if not isinstance(websocket.recheck, Recheck):
        websocket.recheck = Recheck(HTTPConnection(connection.scope), interval)
    websocket.recheck.scopes.update(scopes)


class Recheck:
    """Says whether the caller of a websocket still may use it. There is no timer: it is asked with each message.

    Args:
        connection: the handshake.
        interval: seconds between two questions to the authenticators.

    Attributes:
        scopes: that are needed.
    """

    def __init__(self, connection: HTTPConnection, interval: float) -> None:
        self.scopes: set[str] = set()
        self._connection = connection
        self._interval = interval
        self._next = monotonic() + interval
        self._lock = asyncio.Lock()
        self._is_over = False

    async def __call__(self) -> bool:
        """Whether a message may pass."""
        if monotonic() < self._next:
            return True
        async with self._lock:
            if self._is_over or monotonic() < self._next:  # another call has asked meanwhile
                return not self._is_over
            if not await self._is_allowed():
                self._is_over = True
                refusals.note("websockets whose caller is not known any more, or has lost a scope (1008)")
                return False
            self._next = monotonic() + self._interval
            return True

    async def _is_allowed(self) -> bool:
        """Whether the authenticators say in time that they still know the caller."""
        try:
            async with asyncio.timeout(TIME_LIMIT):
                return await self._is_known()
        except TimeoutError:
            # Who may go on while nobody says so needs only to keep the authenticator busy.
            log.warning("no authenticator has said within {:g} s who a caller is: what it has open ends", TIME_LIMIT)
            return False

    async def _is_known(self) -> bool:
        """Whether the authenticators still know the caller. A wrong credential does not count: it was a right one."""
        for authenticator in authenticators(running_manager().groups).values():
            try:
                actor = await ask_one(self._connection, authenticator)
            except RefusedCredentialError:
                return False
            except ComponentUnavailableError as error:
                log.debug("the caller of a websocket cannot be checked again: {}", error.problem)
                return True
            if actor is not None:
                return not missing(actor.scopes, self.scopes)
        return False

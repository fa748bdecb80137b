"""Connections that calls have held for long: whether the database still answers is asked then.

A server that hangs takes what it is sent and says nothing. A time limit for each statement would end those that take
long by nature; here they go on, as long as the database answers others.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from opa.plugins.driver_sql.component import Component
from opa.plugins.driver_sql.errors import DatabaseGoneError

PATIENCE = 3.0
"""Seconds for which a call may hold a connection before the database is asked, and then again."""
LOOK_INTERVAL = 1.0


class HeldConnections:
    """Those of a pool that calls have at the moment.

    Args:
        driver: of the component that they belong to.
    """

    def __init__(self, driver: Component) -> None:
        self._driver = driver
        self._since: dict[int, float] = {}
        self._is_watching = False

    def take(self, record: Any) -> None:
        """A call has it."""
        self._since[id(record)] = time.monotonic()
        loop = self._driver.breaker.loop
        if self._is_watching or loop is None:
            return
        self._is_watching = True
        try:
            loop.call_soon_threadsafe(loop.call_later, LOOK_INTERVAL, self._look)
        except RuntimeError:  # the loop is closed, and with it the process ends
            self._is_watching = False

    def give_back(self, record: Any) -> None:
        """It is in the pool again, or lost."""
        self._since.pop(id(record), None)

    def forget(self) -> None:
        """Watch none any more."""
        self._since.clear()

    def _look(self) -> None:
        now, since = time.monotonic(), dict(self._since)
        if not since:
            self._is_watching = False
            return
        late = [key for key, taken in since.items() if now - taken >= PATIENCE]
        if late:
            for key in late:
                if key in self._since:
                    self._since[key] = now
            self._driver.breaker.failed(
                DatabaseGoneError(
                    f"a call has waited for {PATIENCE:g} s, or goes on for so long", component=self._driver.component
                )
            )
        asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look)

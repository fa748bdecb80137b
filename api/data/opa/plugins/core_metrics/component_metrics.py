"""Components: how the connections of their pools are used, and how long calls wait for them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from math import inf
from typing import Any

from opa import ComponentObserver, PoolUse, get_plugin_manager, log
from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.state import cells

BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, inf)
CONNECTIONS = Definition(
    "gauge",
    "opa_component_pool_connections",
    "Connections of a component's pool that are open: in use, or idle.",
    "livesum",
    labels=("component", "pool", "state"),
)
LIMIT = Definition(
    "gauge",
    "opa_component_pool_limit",
    "How many connections of the pool may be in use at a time.",
    "livesum",
    labels=("component", "pool"),
)
WAIT = Definition(
    "histogram",
    "opa_component_wait_seconds",
    "Calls that had to wait for a component, by how long and for what.",
    labels=("component", "reason"),
    bounds=BOUNDS,
)
MOST_POOLS, MOST_WAITS = 20, 1000
"""Pools of a component, and components with reasons; more get no numbers of their own."""
LONGEST_NAME = 100
"""Characters of the name of a pool."""
OTHER = "other"
TOLD_EVERY = 300.0
HANGS_AFTER = 5.0
"""Seconds."""
ANSWER_LIMIT = 0.2
"""Seconds that who asks for the metrics waits for drivers to tell, as they do at once."""


class ComponentMetrics(ComponentObserver):
    """Counts in the process where it happens."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, str], int] = {}

    def waited(self, component: str, reason: str, seconds: float) -> None:
        """Count it."""
        first = self._waits.get((component, reason))
        if first is None:
            is_full = len(self._waits) >= MOST_WAITS
            first = cells.allocate(WAIT, "", (OTHER, OTHER) if is_full else (component, reason), len(BOUNDS) + 1)
            if not is_full:
                self._waits[component, reason] = first
        cells.increase(first + bisect_left(BOUNDS, seconds), 1.0)
        cells.increase(first + len(BOUNDS), seconds)


class _Round:
    """The drivers are asked once, in a thread of its own: `pools()` of one may hang."""

    def __init__(self, drivers: list[tuple[str, Any]], note: Callable[[str, Any], None]) -> None:
        self.component = ""
        self.since = time.monotonic()
        self.done = threading.Event()
        self.is_given_up = False
        self._drivers = drivers
        self._note = note

    def begin(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: there are as many as there may be, or the process ends.
        """
        threading.Thread(target=self._ask, name="metrics-pools", daemon=True).start()

    def _ask(self) -> None:
        try:
            for component, driver in self._drivers:
                if self.is_given_up:
                    return
                self.component, self.since = component, time.monotonic()
                self._note(component, driver)
        finally:
            self.done.set()


class Pools:
    """The pools of this process."""

    def __init__(self) -> None:
        self._noted: dict[str, set[str]] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()
        self._round: _Round | None = None
        self._hanging: dict[str, _Round] = {}

    def note(self, wait: float = 0) -> None:
        """Have noted how they are used now.

        Args:
            wait: seconds to wait for that, in a thread that may.
        """
        before = self._round
        if wait and before is not None:  # it may have asked a moment ago
            before.done.wait(wait)
        with self._lock:
            now = self._begun()
        if wait and now is not None:
            now.done.wait(wait)

    def _begun(self) -> _Round | None:
        """A new round, unless one goes on; a driver that hangs is not asked again until it has answered."""
        found = self._round
        if found is not None and not found.done.is_set():
            if not found.component or time.monotonic() - found.since < HANGS_AFTER:
                return None
            self._give_up(found)
        self._hanging = {name: each for name, each in self._hanging.items() if not each.done.is_set()}
        states = list(get_plugin_manager().component_states.items())
        drivers = [
            (name, state.driver) for name, state in states if state.driver is not None and name not in self._hanging
        ]
        self._round = _Round(drivers, self._note)
        try:
            self._round.begin()
        except RuntimeError:
            self._round = None
        return self._round

    def _give_up(self, found: _Round) -> None:
        component, found.is_given_up = found.component, True
        self._hanging[component] = found
        log.warning(
            f"component '{component}' does not tell how its pools are used: pools() of its driver has not returned for"
            f" {HANGS_AFTER:g} s, and is not called again until it has. It must not wait for anything"
        )
        for pool in self._noted.get(component, ()):
            _set(component, pool, PoolUse(0, 0, 0))

    def _note(self, component: str, driver: Any) -> None:
        noted = self._noted.setdefault(component, set())
        found: dict[str, PoolUse] = {}
        try:
            found = {str(pool)[:LONGEST_NAME]: use for pool, use in dict(driver.pools()).items()}
            for pool, use in found.items():
                if pool in noted or len(noted) < MOST_POOLS:
                    noted.add(pool)
                    _set(component, pool, use)
        except Exception as error:  # noqa: BLE001 - a driver of a plugin may raise anything
            if time.monotonic() - self._told.get(component, -inf) > TOLD_EVERY:
                self._told[component] = time.monotonic()
                log.warning(f"component '{component}' does not tell how its pools are used: {error!r}")
        for pool in noted - found.keys():
            _set(component, pool, PoolUse(0, 0, 0))


def _set(component: str, pool: str, use: PoolUse) -> None:
    for state, count in (("used", use.in_use), ("idle", use.idle)):
        cells.note(cells.allocate(CONNECTIONS, "", (component, pool, state)), float(count))
    if use.limit is not None:
        cells.note(cells.allocate(LIMIT, "", (component, pool)), float(use.limit))

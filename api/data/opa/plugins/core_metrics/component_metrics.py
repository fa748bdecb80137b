"""Components: how the connections of their pools are used, and how long calls wait for them."""

from __future__ import annotations

import time
from bisect import bisect_left
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


class Pools:
    """The pools of this process."""

    def __init__(self) -> None:
        self._noted: dict[str, set[str]] = {}
        self._told: dict[str, float] = {}

    def note(self) -> None:
        """Note how they are used now."""
        for component, state in list(get_plugin_manager().component_states.items()):
            if state.driver is not None:
                self._note(component, state.driver)

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

"""Requests by route, plugin, method and status, with how long they took."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import inf
from typing import Any

from opa import Actor, RequestObserver
from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.state import cells

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, inf)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER, UNKNOWN = "other", "none"
SUM = len(BOUNDS)
FIRST_BOUND = BOUNDS[0]
TOO_MANY = 429
RATE_LIMITS = "opa.rate_limits"
MOST_SERIES, MOST_KINDS = 10_000, 50

DURATION = Definition(
    "histogram",
    "opa_http_request_duration_seconds",
    "Requests, by the time until the answer was sent.",
    labels=("method", "route", "plugin", "status"),
    bounds=BOUNDS,
)
HANDSHAKES = Definition(
    "counter",
    "opa_websockets",
    "Websockets that have ended, by the status of the handshake.",
    labels=("route", "plugin", "status"),
)
ACTORS = Definition(
    "counter", "opa_http_requests_by_actor", "Requests whose actor was asked for, by its kind.", labels=("kind",)
)
LIMITED = Definition(
    "counter",
    "opa_http_requests_rate_limited",
    "Requests that a rate limit has refused.",
    labels=("route", "plugin"),
)


class RequestMetrics(RequestObserver):
    """Counts in cells that the event loop alone writes to, and so without a lock."""

    def __init__(self) -> None:
        self._series: set[tuple[Definition, tuple[str, ...]]] = set()
        self._kinds: dict[str, int] = {}

    def ended(self, scope: Any, status: int, seconds: float, place: Any, actor: Actor | None) -> None:
        """Count it."""
        if scope["type"] != "http":
            self._add(HANDSHAKES, place, (_status(status),))
            return
        first, _ = self._cells_of(place, scope["method"], status)
        _recorder(first)(seconds)
        if actor is not None:
            self._count_kind(actor.kind)
        if status == TOO_MANY and RATE_LIMITS in scope:
            self._add(LIMITED, place)

    def recorder(self, place: Any, method: str, status: int) -> Callable[[float], None] | None:
        """What counts requests of this kind."""
        if status == TOO_MANY:  # of those, the limit is counted, too
            return None
        first, is_kept = self._cells_of(place, method, status)
        return _recorder(first) if is_kept else None

    def _cells_of(self, place: Any, method: str, status: int) -> tuple[int, bool]:
        """The first cell for such requests, and whether it stays the same."""
        first = place.kept.get((method, status))
        if first is not None:
            return first, True
        is_known = method in METHODS
        labels, is_full = self._labels(DURATION, (method if is_known else OTHER,), place, (_status(status),))
        first = cells.allocate(DURATION, "", labels, SUM + 1)
        is_kept = not is_full and is_known  # a client may make up as many others as it likes
        if is_kept:
            place.kept[method, status] = first
        return first, is_kept

    def _count_kind(self, kind: str) -> None:
        cell = self._kinds.get(kind)
        if cell is None:
            is_full = len(self._kinds) >= MOST_KINDS
            cell = cells.allocate(ACTORS, "_total", (OTHER if is_full else kind,))
            if not is_full:
                self._kinds[kind] = cell
        cells.increase(cell, 1.0)

    def _add(self, definition: Definition, place: Any, behind: tuple[str, ...] = ()) -> None:
        labels, _ = self._labels(definition, (), place, behind)
        cells.increase(cells.allocate(definition, "_total", labels), 1.0)

    def _labels(
        self, definition: Definition, before: tuple[str, ...], place: Any, behind: tuple[str, ...]
    ) -> tuple[tuple[str, ...], bool]:
        """With the route and the plugin, or without them where there are too many series; and whether that is so.

        Each series counts once, however often its route is made anew.
        """
        labels = (*before, place.route or UNKNOWN, place.plugin or UNKNOWN, *behind)
        if (definition, labels) not in self._series:
            if len(self._series) >= MOST_SERIES:
                return (*before, OTHER, OTHER, *behind), True
            self._series.add((definition, labels))
        return labels, False


def _recorder(first: int) -> Callable[[float], None]:
    last = first + SUM

    def record(seconds: float) -> None:
        view = cells.view
        # Most are in the first bucket, for which none need be looked for.
        view[first if seconds <= FIRST_BOUND else first + bisect_left(BOUNDS, seconds)] += 1.0
        view[last] += seconds

    return record


def _status(status: int) -> str:
    return str(status) if 100 <= status <= 599 else OTHER

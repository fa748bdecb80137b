"""How much each route is used, for pages that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from opa.plugins.core_metrics.reading import BusyError
from opa.plugins.core_metrics.request_metrics import BOUNDS, DURATION
from opa.plugins.core_metrics.service import service

FIRST_ERROR = 500
_ROUTE, _STATUS = DURATION.labels.index("route"), DURATION.labels.index("status")


@dataclass(frozen=True)
class Traffic:
    """The requests of a route, whatever their method, since the service started.

    Attributes:
        requests: how many there were.
        errors: how many of them were answered with a status of 500 or more.
        mean: seconds until the response was sent.
        p95: seconds within which 95 of 100 were sent, as Prometheus estimates it from a histogram.
    """

    requests: int
    errors: int
    mean: float
    p95: float


async def traffic() -> dict[str, Traffic]:
    """That of each route that was asked for, by its path as it is declared; empty if the numbers cannot be read."""
    try:
        total = await service().total()
    except (BusyError, OSError):
        return {}
    buckets: dict[str, list[float]] = {}
    errors: dict[str, float] = {}
    for (definition, _, labels), numbers in total.numbers.items():
        if definition == DURATION:
            route, count = labels[_ROUTE], sum(numbers[: len(BOUNDS)])
            known = buckets.setdefault(route, [0.0] * (len(BOUNDS) + 1))
            known[:] = [sum(both) for both in zip(known, numbers, strict=True)]
            if labels[_STATUS].isdecimal() and int(labels[_STATUS]) >= FIRST_ERROR:
                errors[route] = errors.get(route, 0.0) + count
    return {route: _traffic(numbers, errors.get(route, 0.0)) for route, numbers in buckets.items()}


def _traffic(numbers: Sequence[float], errors: float) -> Traffic:
    counts, seconds = numbers[:-1], numbers[-1]
    total = sum(counts)
    return Traffic(round(total), round(errors), seconds / total if total else 0.0, quantile(counts, 0.95))


def quantile(counts: Sequence[float], part: float) -> float:
    """Seconds within which so large a part of the requests was sent: linear inside a bucket, as Prometheus has it.

    Args:
        counts: of the requests in each bucket of `BOUNDS`.
        part: from 0 to 1.
    """
    rank, below, lower = part * sum(counts), 0.0, 0.0
    for bound, count in zip(BOUNDS, counts, strict=True):
        if count and below + count >= rank:
            return lower if bound == inf else lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return 0.0

"""How much each route is used, as a page shows it."""

from __future__ import annotations

import pytest

from opa.plugins.core_metrics.request_metrics import BOUNDS
from opa.plugins.core_metrics.traffic import quantile


@pytest.mark.parametrize(
    ("counts", "part", "seconds"),
    [
        ({}, 0.95, 0.0),
        ({0.005: 100}, 0.95, 0.00475),
        ({0.005: 50, 0.01: 50}, 0.5, 0.005),
        ({0.005: 90, 1.0: 10}, 0.95, 0.75),
        ({float("inf"): 10}, 0.95, 10.0),
    ],
)
def test_a_quantile_is_estimated_as_prometheus_does(counts: dict[float, int], part: float, seconds: float) -> None:
    assert quantile([counts.get(bound, 0) for bound in BOUNDS], part) == pytest.approx(seconds)

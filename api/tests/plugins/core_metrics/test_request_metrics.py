"""How many series requests make, where the routes of an application come and go."""

from __future__ import annotations

from typing import Any

import pytest

from opa.http.request_facts import RoutePlace

SCOPE: Any = {"type": "http", "method": "GET"}
SOCKET: Any = {"type": "websocket"}


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many there may be."""
    from opa.plugins.core_metrics import request_metrics

    monkeypatch.setattr(request_metrics, "MOST_SERIES", 5)
    return 5


def _series() -> set[tuple[str, ...]]:
    from opa.plugins.core_metrics.state import cells

    return {each.labels for each in cells.series()}


def test_a_route_that_is_made_anew_again_and_again_takes_no_room_of_others(most: int) -> None:
    from opa.plugins.core_metrics.request_metrics import RequestMetrics

    metrics = RequestMetrics()
    for _ in range(2 * most):
        place = RoutePlace("/again", "shop")
        metrics.ended(SCOPE, 200, 0.001, place, None)
        assert metrics.recorder(place, "GET", 200) is not None
    metrics.ended(SCOPE, 200, 0.001, RoutePlace("/another", "shop"), None)
    assert _series() == {("GET", "/again", "shop", "200"), ("GET", "/another", "shop", "200")}


def test_routes_of_ever_new_paths_are_counted_together_from_some_number_on(most: int) -> None:
    from opa.plugins.core_metrics.request_metrics import RequestMetrics

    metrics = RequestMetrics()
    for number in range(2 * most):
        place = RoutePlace(f"/made/{number}", "shop")
        metrics.ended(SCOPE, 200, 0.001, place, None)
        metrics.ended(SOCKET, 101, 0.001, place, None)
        metrics.ended({**SCOPE, "opa.rate_limits": ()}, 429, 0.001, place, None)
    others = {("GET", "other", "other", "200"), ("other", "other", "101"), ("other", "other")}
    assert others < _series()
    assert len(_series()) == most + len(others) + 1  # and those that were refused

from __future__ import annotations

from typing import Any

import pytest

from opa.tasks.application import TaskApplication


@pytest.mark.parametrize("time", [2**63, 2**70, float("inf"), float("nan"), 1.5, True, "x", None, {"a": 1}, [2]])
def test_a_time_that_is_none_does_not_set_the_clock_of_a_worker(time: Any) -> None:
    clock = TaskApplication().clock
    assert clock.adjust(5) == 6
    assert clock.adjust(time) == 7
    assert clock.forward() == 8

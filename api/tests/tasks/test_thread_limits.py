"""Time limits of tasks in threads."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from opa.tasks import thread_limits
from opa.tasks.thread_limits import Limited, ThreadLimits


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> ThreadLimits:
    monkeypatch.setattr(thread_limits, "PAUSE", 0.01)
    return ThreadLimits()


def run(
    limits: ThreadLimits, seconds: float, *, soft: float | None = None, hard: float | None = None
) -> SimpleNamespace:
    """What becomes of a task that takes so long."""
    seen = SimpleNamespace(timeouts=[], is_ended=False)
    end = lambda: setattr(seen, "is_ended", True)  # noqa: E731
    with limits.of(Limited(soft, hard, lambda *told: seen.timeouts.append(told), end)):
        time.sleep(seconds)
    time.sleep(0.1)
    return seen


def test_a_task_is_given_up_at_its_hard_limit(limits: ThreadLimits) -> None:
    seen = run(limits, 0.5, soft=0.05, hard=0.2)
    assert seen.timeouts == [(True, 0.05), (False, 0.2)]
    assert seen.is_ended


def test_a_task_that_ends_in_time_is_left_alone(limits: ThreadLimits) -> None:
    seen = run(limits, 0.02, soft=0.1, hard=0.1)
    assert (seen.timeouts, seen.is_ended) == ([], False)


def test_a_limit_whose_end_cannot_be_noted_keeps_the_others(limits: ThreadLimits) -> None:
    with limits.of(Limited(None, 0.01, lambda *_: 1 / 0, lambda: None)):  # type: ignore[arg-type,return-value]
        assert run(limits, 0.2, hard=0.1).is_ended


def test_no_limit_holds_while_a_debugger_is_attached(limits: ThreadLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_limits, "_is_debugged", lambda: True)
    seen = run(limits, 0.2, soft=0.05, hard=0.1)
    assert (seen.timeouts, seen.is_ended) == ([], False)

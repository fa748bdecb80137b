"""An attack writes a few lines into the log, and not one for each request."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from opa.logging.logger import log
from opa.logging.refusal_log import INTERVAL, MOST_KINDS, OTHERS, Refusals


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    sink = log.add(lambda message: written.append(message.record["message"]), level="WARNING")
    yield written
    log.remove(sink)


def test_the_first_of_a_kind_is_said_at_once_and_the_others_together(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    refusals = Refusals()
    for _ in range(100):
        refusals.note("too large")
    refusals.note("too slow")
    refusals.say_rest()
    assert lines == ["refused: too large", "refused: too slow"]
    now += INTERVAL
    refusals.say_rest()
    refusals.say_rest()
    assert lines[2:] == ["refused: too large (99 times since the last such line)"]
    now += INTERVAL
    refusals.note("too large")
    assert lines[3:] == ["refused: too large"]


def test_reasons_that_a_client_makes_up_fill_neither_the_log_nor_the_memory(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    refusals = Refusals()
    for number in range(10 * MOST_KINDS):
        refusals.note(f"badge {number}")
    assert len(lines) == MOST_KINDS + 1
    assert lines[-1] == f"refused: {OTHERS}"
    now += INTERVAL
    refusals.note("too large")
    assert lines[-1] == "refused: too large"
    refusals.say_rest()
    assert lines[-1] == f"refused: {OTHERS} ({9 * MOST_KINDS - 1} times since the last such line)"


def test_kinds_for_each_client_have_a_line_each_with_the_last_detail_and_leave_room_for_others(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    refusals = Refusals()
    for detail in ("first", "second", "third"):
        refusals.note("from a", detail=detail, interval=6 * INTERVAL, beyond="from others")
    for number in range(10 * MOST_KINDS):
        refusals.note(f"from {number}", interval=6 * INTERVAL, beyond="from others")
    refusals.note("too large")
    assert lines[0] == "refused: from a, the last: first"
    assert lines[-2:] == ["refused: from others", "refused: too large"]
    assert len(lines) == MOST_KINDS // 2 + 2
    now += INTERVAL
    refusals.say_rest()
    assert len(lines) == MOST_KINDS // 2 + 2
    now += 5 * INTERVAL
    refusals.say_rest()
    assert "refused: from a, the last: third (2 times since the last such line)" in lines

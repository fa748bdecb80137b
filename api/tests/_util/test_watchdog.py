from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
import uvloop

from opa._util import watchdog
from opa._util.watchdog import TimeLimitError, Watchdog


def hang() -> None:
    while True:
        time.sleep(0.01)


def test_code_that_was_interrupted_is_left_to_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "REPEAT_INTERVAL", 60.0)
    cleaned_up = []

    def hang_and_clean_up() -> None:
        try:
            hang()
        finally:
            time.sleep(10 * watchdog.CHECK_INTERVAL)
            cleaned_up.append(True)

    with Watchdog(print, print).running() as dog:
        with pytest.raises(TimeLimitError), dog.watch("it", 0.05):
            hang_and_clean_up()
        assert cleaned_up
        time.sleep(10 * watchdog.CHECK_INTERVAL)  # nothing is watched any more


def test_code_that_catches_its_interruption_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "REPEAT_INTERVAL", 0.05)
    caught: list[TimeLimitError] = []

    def hang_on() -> None:
        while len(caught) < 3:
            try:
                hang()
            except TimeLimitError as error:
                caught.append(error)
        hang()

    with Watchdog(print, print).running() as dog, pytest.raises(TimeLimitError), dog.watch("it", 0.05):
        hang_on()
    assert len(caught) == 3


def test_code_that_ends_in_time_is_left_alone() -> None:
    with Watchdog(print, print).running() as dog:
        with dog.watch("it", 60.0):
            time.sleep(5 * watchdog.CHECK_INTERVAL)
        time.sleep(5 * watchdog.CHECK_INTERVAL)


def test_slow_code_is_told_within_seconds_and_warned_of_at_a_third_of_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "TOLD_AFTER", 0.05)
    said: list[str] = []
    warned, told = threading.Event(), threading.Event()

    def warn(text: str) -> None:
        said.append(f"warning: {text}")
        warned.set()

    def tell(text: str) -> None:
        said.append(text)
        told.set()

    with Watchdog(warn, tell).running() as dog:
        with dog.watch("importing plugin 'hang'", 120.0):
            assert told.wait(30)
        with dog.watch("it", 60.0):
            monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 30))
            assert warned.wait(30)
    assert said[0].startswith("importing plugin 'hang' has taken 0.")
    assert said[0].endswith("so far; its limit is 120 s")
    assert said[-1].startswith("warning: it has taken")


def test_an_event_loop_that_runs_in_the_block_is_interrupted() -> None:
    with Watchdog(print, print).running() as dog, pytest.raises(TimeLimitError), dog.watch("it", 0.05):
        uvloop.run(asyncio.sleep(60))

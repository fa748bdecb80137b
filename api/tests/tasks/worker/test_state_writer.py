from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

from opa.tasks.worker import state_writer
from opa.tasks.worker.state_writer import StateWriter
from tests.serve.process import wait_until

LONG = 60


class Gate:
    """What is stored waits for it."""

    def __init__(self) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        self.stored: list[str] = []

    def store(self, name: str) -> Any:
        def store() -> None:
            self.reached.set()
            assert self.opened.wait(LONG)
            self.stored.append(name)

        return store


def test_states_are_stored_in_their_order_while_nobody_waits_for_it() -> None:
    writer, gate = StateWriter(), Gate()
    for name in "abc":
        writer.add(f"that {name} ended", gate.store(name))
    assert gate.stored == []
    gate.opened.set()
    writer.finish(LONG)
    assert gate.stored == ["a", "b", "c"]


def test_states_that_come_when_all_are_stored_are_stored_too() -> None:
    writer, gate = StateWriter(), Gate()
    gate.opened.set()
    for name in "ab":
        writer.add(f"that {name} ended", gate.store(name))
        writer.finish(LONG)
    assert gate.stored == ["a", "b"]


def fail(error: Exception) -> Any:
    def store() -> None:
        raise error

    return store


def test_a_state_that_cannot_be_stored_holds_up_no_other_and_is_one_line_of_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer, gate = StateWriter(), Gate()
    writer.add("that a ended", gate.store("a"))
    assert gate.reached.wait(LONG)
    writer.add("that b ended", fail(redis.ConnectionError("gone")))
    for name in "cd":
        writer.add(f"that {name} ended", gate.store(name))
    gate.opened.set()
    writer.finish(LONG)
    assert gate.stored == ["a"]
    said = capsys.readouterr().err
    assert "that b ended cannot be stored, nor can 2 other states of tasks (ConnectionError)" in said
    assert said.count("\n") == 1


def test_a_state_that_cannot_be_stored_for_a_reason_of_its_own_keeps_no_other_from_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer, gate = StateWriter(), Gate()
    gate.opened.set()
    writer.add("that a ended", fail(KeyError("chord")))
    writer.add("that b ended", gate.store("b"))
    wait_until(lambda: gate.stored == ["b"], what="the other state is stored")
    writer.finish(LONG)
    assert "that a ended cannot be stored (KeyError)" in capsys.readouterr().err


def test_states_that_wait_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state_writer, "MAX_WAITING", 3)
    writer, gate = StateWriter(), Gate()
    writer.add("that a ended", gate.store("a"))
    assert gate.reached.wait(LONG)
    for name in "bcdef":
        writer.add(f"that {name} ended", gate.store(name))
    assert capsys.readouterr().err.count("that e ended is not stored, nor is what comes: 3 other states wait") == 1
    gate.opened.set()
    writer.finish(LONG)
    assert gate.stored == ["a", "b", "c", "d"]

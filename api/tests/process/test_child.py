from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from opa.process.child import Child
from tests.serve.process import is_running

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.kill()


def start_deaf(child: Child) -> None:
    """Start a process that SIGTERM does not end."""
    child.spawn([sys.executable, "-c", DEAF], stdout=-1)
    assert child._process is not None
    assert child._process.stdout is not None
    with child._process.stdout:
        child._process.stdout.readline()


def test_a_child_says_how_it_has_ended(child: Child) -> None:
    child.spawn([sys.executable, "-c", "raise SystemExit(7)"])
    assert child.status() == 7
    assert not child.runs


def test_a_child_ends_within_its_limit(child: Child) -> None:
    child.spawn(["/bin/sleep", "60"])
    assert child.ends_within(60)
    assert child.status() == -signal.SIGTERM


@pytest.mark.parametrize(("limit", "is_urgent"), [(0.1, False), (60, True)])
def test_a_child_that_ignores_sigterm_runs_until_it_is_killed(child: Child, limit: float, is_urgent: bool) -> None:
    start_deaf(child)
    assert not child.ends_within(limit, lambda: is_urgent)
    assert is_running(child.pid)
    child.kill()
    assert child.status() == -signal.SIGKILL
    assert not is_running(child.pid)


def test_another_one_may_be_started_once_it_has_ended(child: Child) -> None:
    child.spawn([sys.executable, "-c", ""])
    first = child.pid
    assert child.status() == 0
    child.spawn(["/bin/sleep", "60"])
    assert child.runs
    assert child.pid != first


def test_before_it_was_started_there_is_nothing_to_end(child: Child) -> None:
    assert not child.runs
    assert child.pid == 0
    assert child.ends_within(0)

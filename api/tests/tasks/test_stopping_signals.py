"""The handler of a worker for signals, at any moment of the thread that it interrupts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from celery.worker import state

from opa.tasks.worker.stopping import Stopping
from tests.signals import signal_at


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    should_stop = state.should_stop
    yield
    state.should_stop = should_stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_at_any_moment_of_the_waiting_is_noted(number: int, times: int) -> None:
    moment = 0
    while True:
        stopping = Stopping(60)
        stopping.listen()

        def step(stopping: Stopping = stopping) -> None:
            stopping.wait(0.001)

        if not signal_at(moment, step, number, times=times):
            break
        assert stopping.is_over == (number == signal.SIGQUIT or times > 1)
        moment += 1
    assert moment > 5

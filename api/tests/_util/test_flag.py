from __future__ import annotations

import signal
import threading
import time

import pytest

from opa._util.flag import Flag
from tests.signals import signal_at


def test_a_flag_wakes_all_who_wait_and_stays_set() -> None:
    flag = Flag()
    woken: list[bool] = []
    waiters = [threading.Thread(target=lambda: woken.append(flag.wait(60))) for _ in range(20)]
    for waiter in waiters:
        waiter.start()
    flag.set()
    for waiter in waiters:
        waiter.join(30)
    assert woken == [True] * 20
    assert flag.is_set()
    assert flag.wait(60)


def test_a_wait_ends_with_its_time() -> None:
    flag = Flag()
    assert not flag.wait(0)
    before = time.monotonic()
    assert not flag.wait(0.1)
    assert time.monotonic() - before >= 0.1
    assert not flag.wait(-1)


def test_a_flag_can_be_set_any_number_of_times() -> None:
    flag = Flag()
    for _ in range(100_000):
        flag.set()
    assert flag.wait(0)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_handler_sets_it_whatever_the_main_thread_is_doing_with_it(times: int) -> None:
    flag = Flag()

    def wait_and_set() -> None:
        flag.wait(0.001)
        flag.set()

    before = signal.signal(signal.SIGUSR2, lambda *_: flag.set())
    try:
        moment = 0
        while signal_at(moment, wait_and_set, signal.SIGUSR2, times=times):
            moment += 1
            flag = Flag()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert moment > 5

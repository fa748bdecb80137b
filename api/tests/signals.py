"""Signals at the moments that matter."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

LIMIT = 20
"""Seconds that a step may take; a handler that waits for a lock of the thread that it interrupts takes for ever."""


class HangingError(Exception):
    """The step does not end."""


def let_programs_be_interrupted() -> None:
    """As in a terminal: SIGINT is ignored by what a shell starts in the background, and SIGHUP under `nohup`."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def signal_at(moment: int, step: Callable[[], object], number: int, *, times: int = 1) -> bool:
    """Run `step` in the main thread, with a signal at one of its moments.

    Args:
        moment: how many lines of Python are run before; those of everything that it calls count, in the standard
            library too.
        step: what is interrupted.
        number: the signal.
        times: how often the signal comes, one directly after the other.

    Returns:
        Whether `step` was still running at the moment.

    Raises:
        HangingError: it has not ended.
    """
    seen = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal seen
        if event == "line":
            if seen == moment:
                # The handler runs at once, on top of this frame.
                for _ in range(times):
                    signal.raise_signal(number)
            seen += 1
        return trace

    tracing, alarm = sys.gettrace(), signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LIMIT)
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(tracing)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
    return seen > moment


def _give_up(*_: object) -> None:
    raise HangingError

"""A time limit for code that runs in this thread and cannot be cancelled, such as an import."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CHECK_INTERVAL = 0.02
"""Seconds between two looks at the clock."""
REPEAT_INTERVAL = 1.0
"""Seconds after which code that has caught `TimeLimitError` is interrupted once more. What it runs meanwhile to clean
up, and to leave the block, is left in peace."""


TOLD_AFTER = 3.0
"""Seconds after which someone who has just saved a file, and waits, hears what it is that takes so long."""


class TimeLimitError(BaseException):
    """Raised in the watched code; not an `Exception`, which that code may catch."""


class TimeLimitExit(TimeLimitError, SystemExit):  # noqa: N818 - it is an error by its first base
    """The same, also where code runs an event loop, as a server that a plugin starts: loops pass on nothing else."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block when it takes longer.

    The kernel keeps the time, since a regular expression that runs away lets no other thread of Python have a turn; it
    does look for signals. Only the main thread can be interrupted: elsewhere there is no limit.

    Raises:
        TimeLimitError: the block took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_running = True

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if is_running:  # it may come late
            raise TimeLimitError

    since = time.monotonic()
    previous = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_INTERVAL)
    try:
        yield
    finally:
        is_running = False
        # Anyone who has set the timer before, such as a program around this one, gets it back.
        left = max(left - (time.monotonic() - since), 0.001) if left else 0
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, previous)


class Watchdog:
    """Watches one thing after another: a warning at a third of its limit, `TimeLimitError` in it at the limit.

    Where a third of the limit is long, there is a line before that.

    One thread serves for all. Only the main thread can be interrupted; elsewhere there is the warning alone. A call
    into C that does not return is not interrupted either.

    Args:
        warn: gets the text of the warning, in a thread of its own.
        tell: the same for the line before that.
    """

    def __init__(self, warn: Callable[[str], object], tell: Callable[[str], object]) -> None:
        self._warn, self._tell = warn, tell
        self._is_main = threading.current_thread() is threading.main_thread()
        self._thread_id = threading.get_ident()
        self._watched: tuple[str, float, float] | None = None
        self._warned = self._told = False
        self._next_interrupt = 0.0
        self._stopped = threading.Event()

    @contextmanager
    def watch(self, what: str, limit: float) -> Iterator[None]:
        """Watch the block.

        Args:
            what: named in the warning.
            limit: seconds.

        Raises:
            TimeLimitError: the block took longer.
        """
        since = time.monotonic()
        self._warned, self._told, self._next_interrupt = False, False, since + limit
        self._watched = (what, since, limit)
        try:
            yield
        finally:
            try:
                self._watched = None
            finally:  # the interrupt may come at the very end of the block
                self._watched = None

    @contextmanager
    def running(self) -> Iterator[Watchdog]:
        """Keep watch during the block."""
        previous = signal.signal(signal.SIGALRM, self._interrupt) if self._is_main else None
        thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join()
            if self._is_main:
                signal.signal(signal.SIGALRM, previous)

    def _look(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL):
            watched = self._watched
            if watched is None:
                continue
            what, since, limit = watched
            passed = time.monotonic() - since
            so_far = f"{what} has taken {passed:.1f} s so far; its limit is {limit:g} s"
            if passed > limit / 3 and not self._warned:
                self._warned = self._told = True
                self._warn(so_far)
            elif passed > TOLD_AFTER and not self._told:
                self._told = True
                self._tell(so_far)
            if time.monotonic() > self._next_interrupt and self._is_main:
                signal.pthread_kill(self._thread_id, signal.SIGALRM)

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        # It may come late, when what it was meant for is over.
        if self._watched is not None and time.monotonic() > self._next_interrupt:
            self._next_interrupt = time.monotonic() + REPEAT_INTERVAL
            raise TimeLimitExit

"""How a worker is told to stop, and how long its tasks have."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from celery.platforms import EX_OK
from celery.worker import state

from opa._util.flag import Flag

FOREVER = 365 * 86400.0


class Stopping:
    """From the first SIGTERM or SIGINT on no new task is taken, and those that run have `limit` seconds.

    A second signal, and SIGQUIT, do not give them that time.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._process = os.getpid()
        self._began: float | None = None
        self._is_urgent = Flag()

    def listen(self) -> None:
        """Handle the signals; called in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._on_signal)

    def begin(self) -> None:
        """From now on the time of the tasks runs."""
        if self._began is None:
            self._began = time.monotonic()

    @property
    def has_begun(self) -> bool:
        """Whether it is told to stop."""
        return self._began is not None

    @property
    def is_over(self) -> bool:
        """Whether tasks that still run are to be given back."""
        return self._is_urgent.is_set() or self._remaining() <= 0

    def wait(self, seconds: float) -> bool:
        """Wait, no longer than `seconds`; gives `is_over`."""
        self._is_urgent.wait(max(0, min(seconds, self._remaining())))
        return self.is_over

    def _remaining(self) -> float:
        return FOREVER if self._began is None else self._began + self.limit - time.monotonic()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Nothing here takes a lock: the main thread may be anywhere, also in the middle of what would need it.
        if os.getpid() != self._process:
            # A child that was only just forked, and has no handlers of its own yet.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if number == signal.SIGQUIT or self._began is not None:
            self._is_urgent.set()
        self.begin()
        state.should_stop = EX_OK  # type: ignore[assignment]  # celery-types takes it for a constant

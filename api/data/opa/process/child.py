"""A process that this one starts, watches and stops."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

PAUSE = 0.05
"""Seconds between two looks at a process."""
SHORT_PAUSE = 0.01
"""The same of one that is to end: mostly it does at once, and something waits for that."""


class Child:
    """A child process; at most one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str], **options: Any) -> None:
        """Start it, with the options of `subprocess.Popen`."""
        self._process = subprocess.Popen(command, **options)  # noqa: S603

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def become(self, other: Child) -> None:
        """Be the process that `other` is, which is none then."""
        self._process, other._process = other._process, None

    def ends_within(self, limit: float, is_urgent: Callable[[], bool] = lambda: False) -> bool:
        """End it with SIGTERM; whether it has ended within `limit` seconds. If it `is_urgent`, it is not waited for."""
        deadline = time.monotonic() + limit
        if self._process is not None:
            self._process.terminate()  # nothing where it has ended
        while self.runs and not is_urgent() and time.monotonic() < deadline:
            time.sleep(SHORT_PAUSE)
        return not self.runs

    def kill(self) -> None:
        """End it with SIGKILL, where it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def status(self) -> int:
        """Its exit status, or minus the number of the signal that has ended it; waits until it has ended."""
        return self._process.wait() if self._process else 0

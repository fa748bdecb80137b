"""A flag that a signal handler may set."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time


class Flag:
    """Once set it stays so, and wakes all that wait.

    What `threading.Event` is, without a lock: a handler of a signal runs in the main thread between any two of its
    steps, and where that thread has the lock of an event, setting the event in the handler waits forever.
    """

    def __init__(self) -> None:
        self._is_set = False
        # One byte is written and never read, so that all that wait see it.
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._writable, False)

    def __del__(self) -> None:
        for descriptor in (self._readable, self._writable):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Set it; may be called from a handler of a signal, and from any thread."""
        self._is_set = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writable, b"x")

    def fileno(self) -> int:
        """The descriptor that can be read once it is set, for those who wait for others as well."""
        return self._readable

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, no longer than `seconds`; gives whether it is."""
        deadline = time.monotonic() + seconds
        # select() would take no descriptor from 1024 on.
        poll = select.poll()
        poll.register(self._readable, select.POLLIN)
        while not self._is_set:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            poll.poll(math.ceil(remaining * 1000))
        return self._is_set

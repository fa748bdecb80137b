"""Ends the one process of development where it is told to stop while a step of its start blocks the event loop."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opa._util.flag import Flag
from opa.core.start_waits import STOP_LIMIT, words_for_end
from opa.current import current
from opa.logging.logger import log

POLL_INTERVAL = 0.2


class BlockedStart:
    """What waits for a signal beside the event loop. In production the parent of the process does that.

    Attributes:
        told: set when the process is told to stop, also in a handler of a signal.
    """

    def __init__(self) -> None:
        self.told = Flag()
        self._is_over = Flag()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """In the block, the process starts and serves."""
        threading.Thread(target=self._watch, name="blocked-start", daemon=True).start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """It has started, or does not."""
        self._is_over.set()

    def _watch(self) -> None:
        while not self.told.wait(POLL_INTERVAL):
            if self._is_over.is_set():
                return
        while not self._is_over.wait(STOP_LIMIT):
            if step := current.start_step:
                log.error(f"process {os.getpid()}: {words_for_end(step)}")
                sys.stdout.flush()
                os._exit(0)

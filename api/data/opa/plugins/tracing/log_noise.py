"""A collector that is gone is told once a minute, and not with each batch."""

from __future__ import annotations

import logging
import time

INTERVAL = 60.0
"""Seconds."""
_LIBRARY = "opentelemetry."


class OnceAMinute(logging.Filter):
    """Lets a line of OpenTelemetry pass each `INTERVAL`, with the number of those that it kept back."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        now = time.monotonic()
        if now < self._next:
            self._kept_back += 1
            return False
        self._next = now + INTERVAL
        if self._kept_back:
            record.msg, record.args = f"{record.getMessage()} ({self._kept_back} more like it)", ()
        self._kept_back = 0
        # Where it stood is in OpenTelemetry or its transport, and says nothing to who runs the collector.
        record.exc_info = None
        return True


def quieten() -> None:
    """Do so for all loggers of the library: those that its modules have made, and these are imported by now."""
    limit = OnceAMinute()
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_LIBRARY):
            logging.getLogger(name).addFilter(limit)

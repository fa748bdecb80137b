"""The clock that Celery's programs keep together, by what each message of one to the others says."""

from __future__ import annotations

from typing import Any

from kombu.clocks import LamportClock

LATEST = 2**62
"""RabbitMQ's own format has no number above 2**63: with a later time no command could be sent or answered any more."""


class Clock(LamportClock):
    """Kombu's, which goes on by itself where a message has no time."""

    def adjust(self, other: Any) -> int:
        """Go on from the time of a message, or from the own one where that is later."""
        return super().adjust(other) if type(other) is int and other < LATEST else self.forward()

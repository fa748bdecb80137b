"""A receiver that does not answer costs a process the whole time limit of each try: it is left alone for a while."""

from __future__ import annotations

import time

from opa import WebhookAnswer

TOLERATED = 3
"""Requests without an answer, one after another, after which it is left alone."""
QUICK = 2.0
"""Seconds: what has failed sooner, such as a connection that is refused, has held up nobody."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
"""Seconds for which it is; each further one takes twice as long."""


class Silence:
    """That of one receiver, as this process knows it."""

    def __init__(self) -> None:
        self._unanswered = 0
        self._until = 0.0

    def answer(self) -> WebhookAnswer | None:
        """What stands for the answer where it is not asked; None where it is."""
        rest = self._until - time.monotonic()
        if rest <= 0:
            return None
        return WebhookAnswer(
            None, f"it is not asked for {rest:.0f} s, since it has not answered {self._unanswered} times"
        )

    def note(self, answer: WebhookAnswer, seconds: float) -> None:
        """Note what became of a request, and how long it took."""
        if answer.status is not None or seconds < QUICK:
            self._unanswered = 0
            return
        self._unanswered += 1
        if self._unanswered >= TOLERATED:
            pause = FIRST_PAUSE * 2 ** min(self._unanswered - TOLERATED, 10)
            self._until = time.monotonic() + min(pause, LONGEST_PAUSE)

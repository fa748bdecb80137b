"""What is refused to clients, in the log: a line for each kind at intervals, not one for each request of an attack."""

from __future__ import annotations

import time

from opa.logging.logger import log

INTERVAL = 10.0
"""Seconds between two lines of a kind."""
MOST_KINDS = 200
"""That are told apart within them: an authenticator of a plugin may say in its reason what the client has sent."""
OTHERS = "requests, for too many different reasons to tell each"


class Refusals:
    """Counts what is refused, by kind, and says so: the first of a kind at once, and those that follow together."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._more: dict[str, tuple[str, float]] = {}
        self._next: dict[str, float] = {}

    def note(self, kind: str, *, detail: str = "", interval: float = INTERVAL, beyond: str = "") -> None:
        """Something was refused.

        Args:
            kind: what, and by which setting, in words; nothing that a client has sent.
            detail: more about it; a line has that of the last one.
            interval: seconds between two lines of the kind.
            beyond: for kinds of which a client can make many, such as one for each address: what is said in their place
                where there are too many of them. They leave room for others.
        """
        now = time.monotonic()
        most = MOST_KINDS // 2 if beyond else MOST_KINDS
        if kind not in self._next and len(self._next) >= most:
            self._forget_said(now)
            if len(self._next) >= most:
                kind = beyond or OTHERS
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._more[kind] = detail, interval
        self._say(kind, now)

    def say_rest(self) -> None:
        """Say what has been counted since the last line, where it is time; called now and then."""
        now = time.monotonic()
        for kind in list(self._counts):
            self._say(kind, now)

    def _forget_said(self, now: float) -> None:
        for kind in [kind for kind, then in self._next.items() if then <= now and kind not in self._counts]:
            del self._next[kind]

    def _say(self, kind: str, now: float) -> None:
        if now < self._next.get(kind, 0.0):
            return
        count = self._counts.pop(kind)
        detail, interval = self._more.pop(kind)
        self._next[kind] = now + interval
        text = f"{kind}, the last: {detail}" if detail else kind
        log.warning("refused: {}{}", text, f" ({count} times since the last such line)" if count > 1 else "")


refusals = Refusals()
"""Those of this process."""

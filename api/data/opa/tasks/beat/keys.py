"""Where the beats of a project keep in redis which of them sends, and when each task was sent last.

The keys carry the name of the project, since several may share one redis. Those of versions before that did not: what
stands there is taken over.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from opa.logging.logger import log
from opa.tasks.beat.lease import named

FORMER_LOCK_KEY = "opa:beat:lock"
FORMER_SENT_KEY = "opa:beat:sent"
LAST_MOMENT = 253_370_764_800.0
"""The beginning of the year 9999: the last that has a date in each time zone."""


def lock_key(project: str) -> str:
    """Where it stands who sends."""
    return f"opa:{project}:beat:lock"


def sent_key(project: str) -> str:
    """A hash, with the time for each entry of the schedule."""
    return f"opa:{project}:beat:sent"


def ran_key(project: str) -> str:
    """A hash, with the time and the id of the last run of each entry that was sent, by beat or by hand."""
    return f"opa:{project}:beat:ran"


def paused_key(project: str) -> str:
    """A hash, with the pauses by entry."""
    return f"opa:{project}:beat:paused"


def missed_key(project: str) -> str:
    """A hash, with the last run of each entry that could not be sent in time."""
    return f"opa:{project}:beat:missed"


def home_key(project: str) -> str:
    """A hash, with who sends and from where its plugins are: two projects may have one name by mistake."""
    return f"opa:{project}:beat:home"


MAX_CLOCK_SKEW = 86_400.0
"""Seconds by which the clock of another machine may be ahead of ours."""


def times_in(found: Iterable[tuple[bytes, bytes | None]]) -> dict[str, float]:
    """The times of the last runs that stand in a hash, by entry; what is no such time is told and does not count.

    Others may write to the same redis. A time that is yet to come would keep its entry from being sent until then.
    """
    times: dict[str, float] = {}
    bad: list[str] = []
    for name, text in found:
        if text is None:
            continue
        try:
            moment = float(text)
            if not 0 <= moment <= time.time() + MAX_CLOCK_SKEW:  # NaN is no such time either
                raise ValueError
            times[name.decode()] = moment
        except ValueError:
            bad.append(decoded(name))
    if bad:
        log.warning(f"redis has no valid time of the last run for {', '.join(bad)}: what it has is ignored")
    return times


def moment_in(value: Any) -> float:
    """The time that stands in redis, in seconds since 1970; one that is later than any date is the last that has one.

    Raises:
        ValueError: it is none.
        TypeError: the same.
    """
    try:
        moment = float(value)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if not moment >= 0:  # nor is NaN
        raise ValueError(f"{moment} is not a time")
    return min(moment, LAST_MOMENT)


def decoded(value: bytes) -> str:
    """The text that stands in redis, whatever someone has written there."""
    return value.decode(errors="backslashreplace")


class FormerKeys:
    """The keys without a name, of which only that counts which is of our schedule: others may have written the rest.

    Args:
        client: a `redis.Redis`.
        prefix: of all keys.
    """

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._lock_key, self._sent_key = f"{prefix}{FORMER_LOCK_KEY}", f"{prefix}{FORMER_SENT_KEY}"

    def holder(self, names: Collection[str]) -> str:
        """Who of an older version runs some of these entries, as `host:pid`; empty where nobody does."""
        holder = self._client.get(self._lock_key)
        if holder is None or not self.times(names):
            return ""
        return named(decoded(holder))

    def times(self, names: Collection[str]) -> Mapping[str, float]:
        """When these entries were sent last, of those that stand there."""
        if not names:
            return {}
        found = self._client.hmget(self._sent_key, list(names))
        return times_in(zip(map(str.encode, names), found, strict=True))

    def forget(self, names: Collection[str]) -> None:
        """Take these entries out."""
        if names:
            self._client.hdel(self._sent_key, *names)

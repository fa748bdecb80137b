"""Where the beats of a project keep in redis which of them sends, and when each task was sent last.

The keys carry the name of the project, since several may share one redis. Those of versions before that did not: what
stands there is taken over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

FORMER_LOCK_KEY = "opa:beat:lock"
FORMER_SENT_KEY = "opa:beat:sent"


def lock_key(project: str) -> str:
    """Where it stands who sends."""
    return f"opa:{project}:beat:lock"


def sent_key(project: str) -> str:
    """A hash, with the time for each entry of the schedule."""
    return f"opa:{project}:beat:sent"


def home_key(project: str) -> str:
    """A hash, with who sends and from where its plugins are: two projects may have one name by mistake."""
    return f"opa:{project}:beat:home"


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
        return str(holder.decode().rpartition(":")[0])

    def times(self, names: Collection[str]) -> Mapping[str, float]:
        """When these entries were sent last, of those that stand there."""
        if not names:
            return {}
        found = zip(names, self._client.hmget(self._sent_key, list(names)), strict=True)
        return {name: float(time) for name, time in found if time is not None}

    def forget(self, names: Collection[str]) -> None:
        """Take these entries out."""
        if names:
            self._client.hdel(self._sent_key, *names)

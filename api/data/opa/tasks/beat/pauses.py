"""Pauses of schedules, kept in redis for all beats of a project.

A pause that has ended stays until a beat has seen it: what was due while it held is not made up for, also where no beat
ran when it ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.logging.logger import log
from opa.tasks.beat.keys import moment_in

LONGEST_REASON = 500

FORGET = """
if redis.call('hget', KEYS[1], ARGV[1]) == ARGV[2] then
    return redis.call('hdel', KEYS[1], ARGV[1])
end
return 0
"""


@dataclass(frozen=True)
class Pause:
    """Why a schedule sends nothing.

    Attributes:
        since: when it began, in seconds since the epoch.
        until: when it ends; None where someone has to end it.
        by: who paused.
        reason: what they said; may be empty.
    """

    since: float
    until: float | None = None
    by: str = ""
    reason: str = ""

    def holds(self, now: float | None = None) -> bool:
        """Whether it has not ended."""
        return self.until is None or (time.time() if now is None else now) < self.until


class Pauses:
    """Those of a project.

    Args:
        client: a `redis.Redis`.
        key: the hash that they are in.
    """

    def __init__(self, client: Any, key: str) -> None:
        self._client, self._key = client, key
        self._forget = client.register_script(FORGET)
        self._told_of: set[bytes] = set()

    def all(self) -> dict[str, Pause]:
        """Each that holds, or that no beat has seen end, by the name of the schedule.

        Raises:
            redis.RedisError: redis does not answer.
        """
        found = {}
        for name, text in self._client.hgetall(self._key).items():
            if (pause := self._read(name, text)) is not None:
                found[name.decode()] = pause
        return found

    def get(self, name: str) -> Pause | None:
        """That of one schedule, as `all` has it.

        Raises:
            redis.RedisError: redis does not answer.
        """
        text = self._client.hget(self._key, name)
        return None if text is None else self._read(name.encode(), text)

    def put(self, name: str, pause: Pause) -> None:
        """Let it hold from now on, instead of one that there may be.

        Raises:
            redis.RedisError: redis does not answer.
        """
        self._client.hset(self._key, name, _text(pause))

    def end(self, name: str, pause: Pause) -> bool:
        """Let it have ended now; false where it has ended already.

        Raises:
            redis.RedisError: redis does not answer.
        """
        now = time.time()
        if not pause.holds(now):
            return False
        self.put(name, Pause(pause.since, now, pause.by, pause.reason))
        return True

    def forget(self, name: str, pause: Pause) -> None:
        """Take out one that has ended, unless there is another one by now.

        Raises:
            redis.RedisError: redis does not answer.
        """
        self._forget(keys=[self._key], args=[name, _text(pause)])

    def _read(self, name: bytes, text: bytes) -> Pause | None:
        try:
            name.decode()
            values: Mapping[str, Any] = json.loads(text)
            until = values["until"]
            return Pause(
                moment_in(values["since"]),
                None if until is None else moment_in(until),
                str(values["by"]),
                str(values["reason"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            if name not in self._told_of:
                self._told_of.add(name)
                shown = in_one_line(name.decode(errors="backslashreplace"))
                log.warning(f"redis has no valid pause for the schedule '{shown}': what it has is ignored")
            return None


def new_pause(until: float | None, by: str, reason: str) -> Pause:
    """One that begins now; secrets in what is said are masked."""
    return Pause(time.time(), until, in_one_line(by), mask_text(in_one_line(reason))[:LONGEST_REASON])


def _text(pause: Pause) -> str:
    return json.dumps(asdict(pause))

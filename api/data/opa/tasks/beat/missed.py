"""Runs of the schedule that could not be sent in time, each told once to the group `on_schedule_missed`.

What is to be told is kept in redis until it is: where a beat ends in between, another one tells it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from opa._util.printable import in_one_line
from opa.loading.conventions import SCHEDULE_MISSED_GROUP
from opa.logging.logger import log
from opa.tasks.beat.due import due_after
from opa.tasks.beat.keys import decoded, moment_in

GROUP = SCHEDULE_MISSED_GROUP.name
CLAIM_LIFE = 60.0
"""Seconds after which another beat tells what one has not told: its functions have a time limit."""
LOOK_INTERVAL = 30.0
"""Seconds between two looks at what others have not told."""
NO_BEAT = "no beat ran, or none that could reach redis"

CLAIM = """
local found = redis.call('hget', KEYS[1], ARGV[1])
if found then
    local is_json, entry = pcall(cjson.decode, found)
    if is_json and type(entry) == 'table' then
        if entry['told'] == true or (tonumber(entry['claimed']) or 0) > tonumber(ARGV[2]) then
            return 0
        end
    end
end
redis.call('hset', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


@dataclass(frozen=True)
class MissedRun:
    """A run of a schedule that could not be sent in time. Times are seconds since the epoch.

    Attributes:
        schedule: the name of the entry.
        task: what it sends.
        plugin: whose task that is; None where no plugin here has it.
        due_at: when it should have been sent: the first of those that were missed.
        noticed_at: when that was noticed.
        reason: why it was not sent, as far as that is known.
    """

    schedule: str
    task: str
    plugin: str | None
    due_at: float
    noticed_at: float
    reason: str


class MissedRuns:
    """Those of a project.

    Args:
        client: a `redis.Redis`.
        key: the hash that they are in.
        after: seconds after which a run that was not sent was missed.
        tell: has the group called, and its second argument when that is done.
        plugin_of: the plugin of a task.
    """

    def __init__(
        self,
        client: Any,
        key: str,
        *,
        after: float,
        tell: Callable[[MissedRun, Callable[[], None]], None],
        plugin_of: Callable[[str], str | None],
    ) -> None:
        self._client, self._key = client, key
        self._claim = client.register_script(CLAIM)
        self._after, self._tell, self._plugin_of = after, tell, plugin_of
        self._seen: dict[str, str] = {}
        self._looked = 0.0

    def look(self, entries: Iterable[tuple[Any, float]], reason: str) -> None:
        """Tell of each entry whose run after the one at this time was not sent in time, if nobody has told it.

        Args:
            entries: of the schedule, each with the time of its last run.
            reason: why runs are not sent, as far as that is known.

        Raises:
            redis.RedisError: redis does not answer.
        """
        now = time.time()
        for entry, last in entries:
            if now - last <= self._after:
                continue
            field = f"{last:.3f} {entry.name}"
            if self._seen.get(entry.name) == field:
                continue
            due = due_after(entry, last)
            if due is None or now - due <= self._after:
                continue
            run = MissedRun(entry.name, entry.task, self._plugin_of(entry.task), round(due, 3), round(now, 3), reason)
            self._tell_once(field, run)
            self._seen[entry.name] = field

    def tell_what_others_have_not(self) -> None:
        """Tell what a beat was to tell that has ended.

        Raises:
            redis.RedisError: redis does not answer.
        """
        now = time.time()
        if 0 <= now - self._looked < LOOK_INTERVAL:
            return
        self._looked = now
        for field, (run, is_told) in _read(self._client.hgetall(self._key)).items():
            if not is_told:
                self._tell_once(field, run)

    def _tell_once(self, field: str, run: MissedRun) -> None:
        now = time.time()
        claimed = json.dumps({**asdict(run), "told": False, "claimed": now + CLAIM_LIFE})
        if not self._claim(keys=[self._key], args=[field, now, claimed]):
            return
        due = datetime.fromtimestamp(round(run.due_at), tz=UTC).isoformat(sep=" ", timespec="seconds")
        log.warning(in_one_line(f"schedule '{run.schedule}': the run of {due} was not sent in time: {run.reason}"))

        def done() -> None:
            stored = _read(self._client.hgetall(self._key))
            older = [
                name
                for name, (other, is_told) in stored.items()
                if is_told and name != field and other.schedule == run.schedule and other.due_at <= run.due_at
            ]
            self._client.hset(self._key, field, json.dumps({**asdict(run), "told": True}))
            if older:
                self._client.hdel(self._key, *older)

        self._tell(run, done)


def last_missed(client: Any, key: str) -> dict[str, float]:
    """When the last run of each schedule was due that was not sent in time, by its name.

    Raises:
        redis.RedisError: redis does not answer.
    """
    found: dict[str, float] = {}
    for run, _ in _read(client.hgetall(key)).values():
        found[run.schedule] = max(run.due_at, found.get(run.schedule, 0.0))
    return found


def _read(stored: Mapping[bytes, bytes]) -> dict[str, tuple[MissedRun, bool]]:
    """What stands in redis, by its field; what someone else has written there is left out."""
    found = {}
    for field, text in stored.items():
        try:
            values = json.loads(text)
            plugin = values["plugin"]
            run = MissedRun(
                str(values["schedule"]),
                str(values["task"]),
                None if plugin is None else str(plugin),
                moment_in(values["due_at"]),
                moment_in(values["noticed_at"]),
                str(values["reason"]),
            )
            found[decoded(field)] = (run, bool(values["told"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return found

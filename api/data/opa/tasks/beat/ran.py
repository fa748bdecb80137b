"""When each schedule was sent last, by beat or by hand, and as which task: for those who look at it.

What is due follows from the hash of `sent_key`, which a pause moves on; this one says only what was.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from opa.tasks.beat.keys import decoded, moment_in


@dataclass(frozen=True)
class LastRun:
    """One that was sent.

    Attributes:
        at: when, in seconds since the epoch.
        id: of the task; empty where it is not known.
    """

    at: float
    id: str = ""


def note_run(client: Any, key: str, name: str, task_id: str) -> None:
    """Write that a schedule was sent now.

    Raises:
        redis.RedisError: redis does not answer.
    """
    client.hset(key, name, json.dumps({"at": time.time(), "id": task_id}))


def last_runs(client: Any, key: str) -> dict[str, LastRun]:
    """That of each schedule, by its name; what someone else has written there is left out.

    Raises:
        redis.RedisError: redis does not answer.
    """
    found = {}
    for name, text in client.hgetall(key).items():
        try:
            values = json.loads(text)
            found[decoded(name)] = LastRun(moment_in(values["at"]), str(values["id"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return found

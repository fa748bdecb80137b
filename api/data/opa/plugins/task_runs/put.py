"""Writes events into redis, and what processes that are gone have not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opa.plugins.task_runs.journal import journals_of, left_behind
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.said import packed

BATCH_SIZE = 200
"""Events in a script: redis does nothing else meanwhile."""


def put(record: Any, limits: Limits, events: list[str], blobs: list[tuple[str, bytes]]) -> Any:
    """Write events, as JSON, and blobs in one round trip.

    Raises:
        redis.RedisError: redis does not take them.
    """
    text = f"[{','.join(events)}]".encode("utf-8", "replace")
    return record(keys=[], args=[*limits.args(), text, *(part for blob in blobs for part in blob)])


def journal_folder(config: Any) -> Path | None:
    """Where the journals are; None where there is no place for files."""
    try:
        return journals_of(config)
    except OSError:
        return None


def write_left(record: Any, limits: Limits, folder: Path | None, own: Path | None) -> None:
    """Write what processes of this machine have not, which are gone.

    Args:
        folder: where their journals are.
        own: the journal of this process.

    Raises:
        redis.RedisError: redis does not take them; they stay.
    """
    if folder is None:
        return
    for left in left_behind(folder, own):
        for first in range(0, len(left.events), BATCH_SIZE):
            put(record, limits, left.events[first : first + BATCH_SIZE], [])
        for task_id, tries, said, traceback, total in left.logs:
            blob = f"log:{task_id}:{tries}", packed(said, traceback, total)
            put(record, limits, [], [blob])

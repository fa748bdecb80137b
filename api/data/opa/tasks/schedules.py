"""What a schedule may be written as: in the decorator of a task, and in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab

from opa.core.words import kind_of

FORMS = 'seconds, a timedelta, or five fields such as "*/5 * * * *"'
ENTRY_KEYS = frozenset({"task", "schedule", "args", "kwargs", "options", "relative"})


def parse_schedule(value: Any) -> float | timedelta | BaseSchedule:
    """The schedule that `value` means: seconds, a `timedelta`, a Celery schedule, or the fields of a crontab entry.

    Raises:
        ValueError: it means none; the message says why.
    """
    if isinstance(value, str):
        try:
            return crontab.from_string(" ".join(value.split()))
        except Exception as error:
            # Celery raises whatever its parser stumbles over.
            raise ValueError(f"'{value}' is no crontab entry: {error}") from error
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta | BaseSchedule):
        raise ValueError(f"{kind_of(value)} is none")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, int | float) and not seconds > 0:
        raise ValueError("the time between two runs should be more than 0")
    return value


def parse_entries(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries of a `beat_schedule` from the settings, as Celery takes them.

    Raises:
        ValueError: one of them is of no use; the message names it and says why.
    """
    return {name: _parse_entry(name, entry) for name, entry in entries.items()}


def _parse_entry(name: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("task"), str):
        raise ValueError(f"the entry '{name}' names no task")
    if unknown := sorted(set(entry) - ENTRY_KEYS):
        raise ValueError(
            f"the entry '{name}' has {', '.join(unknown)}, which is none of {', '.join(sorted(ENTRY_KEYS))}"
        )
    try:
        return dict(entry) | {"schedule": parse_schedule(entry.get("schedule"))}
    except ValueError as error:
        raise ValueError(f"the schedule of the entry '{name}' cannot be used: {error}. Write {FORMS}") from error

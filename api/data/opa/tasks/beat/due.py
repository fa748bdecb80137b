"""When the run of a schedule that comes after another one is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def due_after(entry: Any, moment: float) -> float | None:
    """When an entry of the schedule is due that was sent at `moment`, in seconds since the epoch; may be past.

    None where its schedule, which may be a class of a plugin, does not tell.

    Args:
        entry: Celery's `ScheduleEntry`.
    """
    schedule = entry.schedule
    try:
        last = datetime.fromtimestamp(moment, tz=UTC).astimezone(schedule.tz)
        now = datetime.now(UTC)
        remaining = schedule.remaining_estimate(last)
        return float((now + remaining).timestamp())
    except Exception:  # noqa: BLE001 - a schedule class of a plugin
        return None

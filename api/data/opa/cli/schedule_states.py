"""The schedule as commands show it: with its state in redis, where that answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.schedule_control import ScheduleState


def schedule_states(manager: PluginManager) -> tuple[list[ScheduleState], str]:
    """The entries of the schedule, and why what redis has of them is missing; empty where it is not."""
    from opa.errors import OpaError
    from opa.tasks.schedule_control import Schedules

    schedules = Schedules(manager)
    configured = schedules.configured()
    try:
        return asyncio.run(schedules.all()), ""
    except OpaError as error:
        return configured, error.problem


def moment(at: float | None) -> str:
    """A time in seconds since the epoch as people read it."""
    return "-" if at is None else datetime.fromtimestamp(round(at), tz=UTC).isoformat(sep=" ", timespec="seconds")

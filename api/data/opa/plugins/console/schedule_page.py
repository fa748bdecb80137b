"""The page of the schedule."""

from __future__ import annotations

from starlette.requests import Request

from opa import OpaError, get_plugin_manager
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader

ACT = "console:schedule"
LENGTHS = {"": "until resumed", "3600": "for an hour", "86400": "for a day", "604800": "for a week"}
"""Seconds that a pause can have."""


def are_scheduled() -> bool:
    """Whether there are tasks, which could be on a schedule."""
    return get_plugin_manager().tasks.are_used


async def context(_request: Request, reader: Reader) -> Context:
    """What the template needs. Without redis, it is what the plugins and settings say."""
    if not are_scheduled():
        return {"states": (), "unknown": "", "lengths": LENGTHS, "may_act": False}
    from opa import Schedules  # with Celery, which is imported where there is a task

    schedules, problem = Schedules(get_plugin_manager()), ""
    try:
        states = await schedules.all()
    except OpaError as error:
        states, problem = schedules.configured(), str(error)
    return {"states": states, "unknown": problem, "lengths": LENGTHS, "may_act": reader.can(ACT)}

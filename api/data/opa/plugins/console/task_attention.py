"""What needs attention of tasks: runs that failed, dead letters, and schedules that are paused or were missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from functools import partial
from time import time
from urllib.parse import urlencode

from opa import ComponentUnavailableError, OpaError, get_plugin_manager
from opa.plugins.console import dead_page
from opa.plugins.console.attention import Attention
from opa.plugins.console.patience import NotYetError, patience
from opa.plugins.console.readers import Reader
from opa.plugins.console.runs_page import DAY, RUNS, are_recorded, runs
from opa.plugins.console.schedule_page import are_scheduled
from opa.plugins.console.tasks_page import functions

MOST = 200
"""Failed runs that are looked at. If there are more, redis counts them, which takes it longer."""
COUNTS_LIFE = 30.0
"""Seconds for which that is good: an open page asks every other second."""


async def of_tasks(reader: Reader) -> AsyncIterator[Attention]:
    """What the reader may see of it. Nothing where redis does not answer: the start page says that of its component."""
    if reader.can(RUNS) and are_recorded():
        for found in await _failed():
            yield found
    if are_scheduled():
        if reader.can(RUNS) and (dead := await _dead()):
            many = "dead letter" if dead == 1 else "dead letters"
            yield Attention(f"{dead} {many}", "Tasks that were given up, or that no worker can read", "/dead")
        async for found in _schedules():
            yield found


def of_missing(modes: Collection[str]) -> Iterator[Attention]:
    """That there are tasks and no worker, or a schedule and no beat.

    Args:
        modes: of the processes that run.
    """
    if not are_scheduled() or not functions():
        return
    if "worker" not in modes:
        yield Attention("No worker runs", "Tasks that are sent wait until one does", "/tasks")
    if "beat" not in modes and _has_schedule():
        yield Attention("No beat runs", "No schedule is sent until one does", "/schedule")


def _has_schedule() -> bool:
    from opa import Schedules

    return any(state.enabled for state in Schedules(get_plugin_manager()).configured())


async def _dead() -> int:
    """How many dead letters there are; 0 where that is not known, which the component says."""
    try:
        return await dead_page.count()
    except (NotYetError, OpaError):
        return 0


async def _failed() -> list[Attention]:
    """The runs that failed or were lost, of those that were sent in the last day. One that is dead has its letter."""
    from opa.plugins.task_runs.names import FAILED, LOST  # only where runs are recorded

    states, since = (FAILED, LOST), time() - float(DAY)
    try:
        page = await runs().list_runs(states=states, since=since, limit=MOST)
        counts = Counter((run.task, run.state) for run in page.runs)
        if page.cursor is not None:
            # One task that fails all the time must not hide that another one has failed.
            ask = partial(runs().counts_by_task, states, since=since)
            counts = Counter(await patience().ask("failed runs", ask, life=COUNTS_LIFE))
    except ComponentUnavailableError:
        return []
    found = []
    for (task, state), count in counts.most_common():
        query = urlencode({"task": task, "state": state, "period": DAY})
        many, lost = ("run", "was lost") if count == 1 else ("runs", "were lost")
        what = "failed" if state == FAILED else lost
        found.append(Attention(f"{count:,} {many} of {task} {what} in the last day", "", f"/runs?{query}"))
    return found


async def _schedules() -> AsyncIterator[Attention]:
    from opa import Schedules

    try:
        states = await Schedules(get_plugin_manager()).all()
    except OpaError:
        return
    for state in states:
        if state.paused:
            yield Attention(f"Schedule {state.name} is paused", state.pause_reason, "/schedule", is_mild=True)
        elif state.missed:
            yield Attention(f"A run of schedule {state.name} was missed", "", "/schedule")

"""The pages of all runs of tasks, and of one."""

from __future__ import annotations

import asyncio
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import config, get_plugin_manager
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader

if TYPE_CHECKING:
    from opa.plugins.task_runs.reader import RunReader
    from opa.plugins.task_runs.records import Run

RUNS = "console:runs"
ACT = "console:tasks"
DAY = "86400"
PERIODS = {"": "any time", "3600": "the last hour", DAY: "the last day", "604800": "the last week"}
LENGTH_OF_ID = 36
LOOKS, LOOK_INTERVAL = 8, 0.125
FAILED = "failures"
"""Stands for all states that are one."""


def are_recorded() -> bool:
    """Whether runs are recorded: there are tasks, and RUNS is true."""
    return bool(config.RUNS) and get_plugin_manager().tasks.are_used


def runs() -> RunReader:
    """The runs of this application.

    Raises:
        HTTPException: they are not recorded (404).
        ComponentUnavailableError: redis, which has them, is not connected.
    """
    if not are_recorded():
        raise HTTPException(404, "runs of tasks are not recorded: no plugin has a task, or RUNS is false")
    from opa.plugins.task_runs.reader import reader_of  # only where runs are recorded

    return reader_of(get_plugin_manager())


async def all_runs(request: Request, _reader: Reader) -> Context:
    """What the template of all runs needs: those that the query selects.

    Raises:
        HTTPException: the query has a cursor that is none (400).
    """
    from opa.plugins.task_runs.failure import RunError
    from opa.plugins.task_runs.names import BAD, STATES

    query = request.query_params
    reader = runs()
    state = query.get("state", "")
    states = BAD if state == FAILED else (state,) if state in STATES else ()
    period = query.get("period", "") if query.get("period", "") in PERIODS else ""
    try:
        page = await reader.list_runs(
            task=query.get("task") or None,
            states=states,
            since=time() - float(period) if period else None,
            cursor=query.get("cursor") or None,
        )
    except RunError as error:
        raise HTTPException(400, str(error)) from None
    return {
        "runs": page.runs,
        "cursor": page.cursor,
        "task": query.get("task", ""),
        "tasks": await reader.tasks(),
        "state": state,
        "states": (FAILED, *STATES),
        "period": period,
        "periods": PERIODS,
        "counts": await reader.counts(),
    }


async def one_run(request: Request, reader: Reader) -> Context:
    """What the template of one run needs.

    Raises:
        HTTPException: nobody knows it (404).
    """
    store = runs()
    run = await _found(store, request.path_params["id"])
    if run is None:
        raise HTTPException(404, "nobody knows this run: it was not recorded, or has made room for others")
    log = await store.log(run)
    return {"run": run, "log": log, "may_act": reader.can(ACT), "by": _by(run)}


async def _found(store: RunReader, task_id: str) -> Run | None:
    """The run; one that was sent a moment ago, as by the page before, is written in a moment."""
    run = await store.get(task_id)
    for _ in range(LOOKS if len(task_id) == LENGTH_OF_ID else 0):
        if run is not None:
            break
        await asyncio.sleep(LOOK_INTERVAL)
        run = await store.get(task_id)
    return run


def _by(run: Any) -> list[tuple[str, str, str]]:
    """Who has sent it: what that is, its name, and the path of its page, if it has one."""
    found = [
        ("Schedule", run.schedule, ""),
        ("Event", run.event, ""),
        ("Task", run.parent, f"/runs/{quote(run.parent)}"),
        ("Request", run.request_id, ""),
        (run.actor_kind.capitalize() or "Actor", run.actor, ""),
    ]
    return [(kind, name, path if name else "") for kind, name, path in found if name]

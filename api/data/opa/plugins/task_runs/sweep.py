"""Finds the runs of which nobody will tell any more, and writes what became of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from opa import log, queue_lengths
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.names import (
    ASK_AFTER,
    DEAD,
    FAILED,
    LOST,
    MISSING_TIME,
    REVOKED,
    SUCCEEDED,
    UNHEARD_TIME,
    WORKER_LIFE,
)
from opa.plugins.task_runs.put import put
from opa.plugins.task_runs.records import as_json
from opa.plugins.task_runs.scripts import RECORD, SWEEP, TRIM, UNHEARD
from opa.redis_clients import text_of

if TYPE_CHECKING:
    from opa import PluginManager

_STATES = {"SUCCESS": SUCCEEDED, "FAILURE": FAILED, "REVOKED": REVOKED}
TRIM_TIME = 1.0
"""Seconds that it takes at most: tasks go on meanwhile, and what becomes of them waits to be written."""
_GONE_LIFE = 60
"""Seconds for which it is known since when nobody has a run, between two looks."""


def sweep(client: Any, manager: PluginManager, limits: Limits) -> None:
    """Find the runs whose workers are gone, and those that nobody has, and write what became of them.

    Raises:
        redis.RedisError: redis does not answer.
    """
    now = round(time.time(), 4)
    _make_room(client, limits)
    args = [*limits.args(), MISSING_TIME]
    events = [
        event
        for task_id, run in _pairs(client.register_script(SWEEP)(keys=[], args=args))
        if (event := _of_gone_worker(manager, task_id, run, now))
    ]
    args = [limits.prefix, now, ASK_AFTER, WORKER_LIFE, *UNHEARD_TIME]
    events += _unheard(client, manager, limits, _pairs(client.register_script(UNHEARD)(keys=[], args=args)), now)
    if events:
        put(client.register_script(RECORD), limits, list(map(as_json, events)), [])


def _make_room(client: Any, limits: Limits) -> None:
    """Have go what is beyond a limit that was made lower, in many steps, between which redis does other things."""
    trim = client.register_script(TRIM)
    until = time.monotonic() + TRIM_TIME
    while trim(keys=[], args=limits.args()) and time.monotonic() < until:
        pass


def _pairs(found: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    pairs = []
    for task_id, text in zip(found[::2], found[1::2], strict=True):
        try:
            run = json.loads(text)
            is_one = all(isinstance(run.get(name) or 0, int | float) for name in ("a", "n", "u"))
            is_one = is_one and isinstance(run.get("q") or "", str)
        except (ValueError, AttributeError, RecursionError):
            continue
        if not is_one:  # anybody may write there
            continue
        pairs.append((text_of(task_id), run))
    return pairs


def _event(task_id: str, run: dict[str, Any], state: str, now: float, why: str) -> dict[str, Any]:
    return {"i": task_id, "s": state, "a": now, "n": run["n"], "f": {"y": why, "te": now}}


def _of_gone_worker(manager: PluginManager, task_id: str, run: dict[str, Any], now: float) -> dict[str, Any] | None:
    known = _result(manager, task_id, run)
    if known is not None:
        event = _event(task_id, run, known, now, "its worker was killed after it had ended")
    elif _deliveries(run) >= manager.config.TASK_DELIVERY_LIMIT:
        event = _event(task_id, run, DEAD, now, "delivery_limit: its worker was killed each time")
    else:
        event = _event(task_id, run, LOST, now, "its worker is gone")
    return event | {"l": str(run.get("k") or "")}


def _deliveries(run: dict[str, Any]) -> int:
    found = run.get("d")
    return found if isinstance(found, int) else 0


def _unheard(
    client: Any, manager: PluginManager, limits: Limits, runs: list[tuple[str, dict[str, Any]]], now: float
) -> list[dict[str, Any]]:
    """What became of runs that wait, and that no worker has in hand; most are in a queue."""
    events, silent = list[dict[str, Any]](), list[tuple[str, dict[str, Any]]]()
    for task_id, run in runs:
        known = _result(manager, task_id, run)
        if known is not None:
            events.append(_event(task_id, run, known, now, "its worker was killed after it had ended"))
        elif now - max(run["a"], run.get("u") or 0) >= UNHEARD_TIME[run["s"]]:
            silent.append((task_id, run))
    for task_id, run in _in_no_queue(client, limits, silent):
        events.append(_event(task_id, run, LOST, now, "no queue and no worker has it"))
    of = dict(runs)
    return [event | {"v": of[event["i"]]["s"], "va": of[event["i"]]["a"]} for event in events]


def _in_no_queue(
    client: Any, limits: Limits, silent: list[tuple[str, dict[str, Any]]]
) -> list[tuple[str, dict[str, Any]]]:
    """Those whose queues are empty, and were at the last look: one may be on its way to a worker."""
    if not silent:
        return []
    try:
        lengths = queue_lengths()
    except Exception as error:  # noqa: BLE001 - each broker has its own; then nobody knows
        log.debug("the broker does not tell what its queues have: {!r}", error)
        return []
    empty = {task_id: run for task_id, run in silent if lengths.get(run.get("q") or "") == 0}
    key, now = f"{limits.prefix}gone", float(client.time()[0])  # the clocks of those who look may differ
    before = {text_of(task_id): score for task_id, score in client.zrange(key, 0, -1, withscores=True)}
    since = {task_id: before.get(task_id, now) for task_id in empty}
    with client.pipeline() as pipe:
        pipe.delete(key)
        if since:
            pipe.zadd(key, since)
            pipe.expire(key, _GONE_LIFE)
        pipe.execute()
    return [(task_id, empty[task_id]) for task_id, first in since.items() if now - first >= MISSING_TIME]


def _result(manager: PluginManager, task_id: str, run: dict[str, Any]) -> str | None:
    """The state in which the results say that it has ended; None where they do not."""
    try:
        result = manager.celery.AsyncResult(task_id)
        state = _STATES.get(result.state)
        done = result.date_done
    except Exception as error:  # noqa: BLE001 - without results, or without their server
        log.debug("the results do not tell what became of the run {}: {!r}", task_id, error)
        return None
    # Of one that was sent again, the results have what became of it before.
    if state is not None and run.get("z") and (done is None or done.timestamp() <= run["a"]):
        return None
    return state

"""What stands in redis of a run, and what is read of it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any

from opa import TaskRun, log
from opa.plugins.task_runs.names import OVER, RUNNING, STATES, SUCCEEDED, WAITING

LONGEST_TEXT = 300
LONGEST_READ = 20_000
"""Characters of a text in a record that are read; our own are shorter."""
LAST_MOMENT = 253_370_764_800.0
"""Behind it, times have no date in some time zone."""
SHORT_BODY = 300
"""Characters of arguments that stand in the record itself."""
BESIDE = "+"
"""In their place, where they are longer."""
_NO_MORE = ', {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
"""What Celery has behind them, of most tasks."""
_NOTHING = f"[[], {{}}{_NO_MORE}"


@dataclass(frozen=True)
class Run:
    """A run of a task, as it is recorded. What is not known is None, or empty; times are seconds since 1970.

    Attributes:
        id: of the task.
        task: its name.
        plugin: that it belongs to.
        state: one of `opa.plugins.task_runs.STATES`.
        since: when it came into that state.
        queue: to which it was sent.
        worker: the name of the worker that had it last.
        tries: how often it was tried; 1 for the first.
        deliveries: how often the broker has given it to a worker for this try, as far as that tells.
        sent: when it was sent.
        started: when its last try began.
        ended: when it ended.
        arguments: as in a call, shortened, secrets masked.
        result: as Python writes it, shortened, secrets masked.
        error: what its traceback says of the error, in a line.
        reason: why it did not run, or does not go on.
        request_id: of the request that has sent it.
        actor: who has sent it, or that request.
        actor_kind: what made the actor known; `person` for one who used the command.
        schedule: the name of the schedule that has sent it.
        event: the name of the event whose handler it is.
        parent: the id of the task that has sent it.
        notes: what people have done with it.
        again: whether it can be sent again.
    """

    id: str
    task: str = ""
    plugin: str = ""
    state: str = ""
    since: float | None = None
    queue: str = ""
    worker: str = ""
    tries: int = 1
    deliveries: int = 0
    sent: float | None = None
    started: float | None = None
    ended: float | None = None
    arguments: str = ""
    result: str = ""
    error: str = ""
    reason: str = ""
    request_id: str = ""
    actor: str = ""
    actor_kind: str = ""
    schedule: str = ""
    event: str = ""
    parent: str = ""
    notes: str = ""
    again: bool = False
    body: str = field(default="", repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in OVER

    @property
    def problem(self) -> str:
        """Its error, or why it did not go on: not that of an earlier try, or for which it has waited, where it did."""
        return "" if self.state in {RUNNING, SUCCEEDED} else self.error or self.reason

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        del found["body"]
        return found


_SHORT = {
    "t": "task",
    "p": "plugin",
    "s": "state",
    "a": "since",
    "q": "queue",
    "w": "worker",
    "n": "tries",
    "d": "deliveries",
    "ts": "sent",
    "tb": "started",
    "te": "ended",
    "ar": "arguments",
    "r": "result",
    "e": "error",
    "y": "reason",
    "rq": "request_id",
    "ac": "actor",
    "ak": "actor_kind",
    "sc": "schedule",
    "ev": "event",
    "pa": "parent",
    "x": "notes",
    "b": "body",
}
_NUMBERS = {"since", "sent", "started", "ended"}
_COUNTS = {"tries", "deliveries"}


_WHO = ("parent_id", "schedule", "event", "request_id", "actor", "actor_kind")
"""Headers by which `TaskRun.by` is known."""


def error_line(traceback: str) -> str:
    """The kind of the error and the first line of what it says; of a group of errors, that of the group."""
    lines = traceback.rstrip().splitlines()
    frame = _last(lines, '  File "')
    group = _last(lines, "  + Exception Group Traceback")
    if group > frame:
        lines, frame = [line[4:] for line in lines[group:] if line.startswith("  | ")], -1
    # Without a frame, as where all of them are of libraries, the heading stands right before it.
    begin = max(frame, _last(lines, "Traceback (most recent call last):")) + 1
    return next((line for line in lines[begin:] if not line.startswith(" ")), lines[-1] if lines else "")


def _last(lines: list[str], beginning: str) -> int:
    return max((number for number, line in enumerate(lines) if line.startswith(beginning)), default=-1)


def told(state: str, run: TaskRun, worker: str, error: str = "") -> str:
    """What a process knows of a run, as redis is given it: JSON by the short names. What is empty is left out.

    A worker makes one for each task while that waits, so it is put together of texts: most runs differ in little.

    Args:
        state: that the run is in.
        worker: by which this process and its children are known.
        error: what its traceback says of the error, in a line: `error_line`.
    """
    at = run.ended_at or run.started_at or run.sent_at or time.time()
    fields = _same(run.task, run.queue, run.plugin, "" if state == WAITING else worker)
    for name, moment in (("ts", run.sent_at), ("tb", run.started_at), ("te", run.ended_at)):
        if moment is not None and 0 < moment < LAST_MOMENT:  # a sender may have written any number
            fields += f',"{name}":{moment!r}'
    if run.started_at is not None or run.worker:
        fields += f',"w":{quoted(run.worker)},"d":{run.deliveries}'
    if more := _more(state, run, error):
        fields += f",{as_json(more)[1:-1]}"
    z = ',"z":1' if state == WAITING and run.reason else ""
    at = at if 0 < at < LAST_MOMENT else time.time()
    return f'{{"i":{quoted(run.id)},"s":"{state}","a":{at!r},"n":{run.tries}{z},"f":{{{fields}}}}}'


as_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""An event. It may have half a character, of an error or an argument, which redis does not read: it is to be encoded
with `errors="replace"`."""


@lru_cache(256)
def _same(task: str, queue: str, plugin: str, worker: str) -> str:
    """Of an event, what many have in common."""
    found = {"t": task, "q": queue, "p": plugin, "k": worker}
    return as_json({name: text for name, text in found.items() if text})[1:-1]


def _more(state: str, run: TaskRun, error: str) -> dict[str, Any]:
    """What most runs have nothing of."""
    headers = run.headers
    found: dict[str, Any] = {}
    if run.result is not None:
        found["r"] = run.result
    if error:
        found["e"] = error[:LONGEST_TEXT]
    if run.reason:
        found["y"] = run.reason[:LONGEST_TEXT]
    if headers.get("argsrepr") != "()" or headers.get("kwargsrepr") != "{}":
        found["ar"] = run.arguments
    for name in _WHO:
        if headers.get(name):
            by = run.by
            found |= {"rq": by.request_id, "ac": by.actor, "ak": by.actor_kind, "sc": by.schedule, "pa": by.parent}
            found["ev"] = by.event
            break
    if run.body is not None:
        found["b"] = _short_body(run)
    if state == WAITING and (eta := headers.get("eta")):
        found["u"] = _moment(eta)
    return {name: value for name, value in found.items() if value} if found else found


def _moment(eta: Any) -> float | None:
    """When a task is to run that waits for its time."""
    try:
        return datetime.fromisoformat(str(eta)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _short_body(run: TaskRun) -> str | None:
    """The arguments, if they are short, or `+` where they stand beside the record.

    Only those that hold nothing secret are kept: whoever reads the redis of the component could read them for as long
    as the run is kept, while the broker forgets them when the task is done.
    """
    if run.body == _NOTHING:
        return "[[], {}]"
    if run.body is None or run.may_be_secret:
        return None
    if len(run.body) > SHORT_BODY:
        return BESIDE
    return f"{run.body.removesuffix(_NO_MORE)}]" if run.body.endswith(_NO_MORE) else run.body


def run_in(task_id: str, text: Any) -> Run | None:
    """The run that stands in redis, where others may write too: None where it is none."""
    try:
        found = json.loads(text)
        given = {_SHORT[name]: value for name, value in found.items() if name in _SHORT}
        run = Run(task_id, **{name: _fit(name, value) for name, value in given.items()}, again=bool(found.get("b")))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        log.warning("what redis has for the run {} is none, and is ignored: {!r}", task_id, error)
        return None
    return run if run.state in STATES else None


def _fit(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        seconds = float(value)
        if not 0 <= seconds <= LAST_MOMENT:
            raise ValueError(f"{name} is not a time: {seconds!r}")
        return seconds
    return int(value) if name in _COUNTS else str(value)[:LONGEST_READ].encode("utf-8", "replace").decode()

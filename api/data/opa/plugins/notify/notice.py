"""What is told of a failure, and how many of one kind become one."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opa import MissedRun, PluginManager, TaskRun

Kind = Literal["failed", "dead", "missed"]

LONGEST_LINE = 300
"""Characters of a line that comes from a task."""


@dataclass(frozen=True)
class Notice:
    """Failures of one kind: one, or many that have happened.

    Attributes:
        kind: a task that failed, a task that was given up, or a run of the schedule that was missed.
        task: the task.
        plugin: whose it is; empty where no plugin here has it.
        schedule: the entry of the schedule; of one that failed, that has sent the last one, if one has.
        count: how many.
        first, last: when, in seconds since the epoch.
        id: of the last task; empty for a missed run.
        problem: the last error in one line, or why the task was given up; secrets masked.
        frame: where the plugin stood then: `reports.py:12 in nightly`; empty where that is not known.
    """

    kind: Kind
    task: str
    plugin: str
    schedule: str
    first: float
    last: float
    id: str
    problem: str
    frame: str
    count: int = 1

    @property
    def field(self) -> str:
        """What those have in common that are told together."""
        error = self.problem.partition(":")[0] if self.kind == "failed" else ""
        name = self.schedule if self.kind == "missed" else self.task
        return "\n".join((self.kind, name, error, self.frame))

    def with_more(self, later: Notice) -> Notice:
        """Both in one."""
        return replace(
            later if later.last >= self.last else self,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=self.count + later.count,
        )

    def as_dict(self) -> dict[str, Any]:
        """As it is kept, and as a webhook with TYPE json has it."""
        return asdict(self)


def notice_of(values: Mapping[str, Any]) -> Notice:
    """That which `as_dict` has made the values of.

    Raises:
        KeyError, TypeError, ValueError: of something else.
    """
    kind = values["kind"]
    if kind not in ("failed", "dead", "missed"):
        raise ValueError(kind)
    texts: dict[str, Any] = {
        name: str(values[name]) for name in ("task", "plugin", "schedule", "id", "problem", "frame")
    }
    texts |= {name: float(values[name]) for name in ("first", "last")}
    return Notice(kind=kind, count=int(values["count"]), **texts)


def together(notices: Iterable[Notice]) -> dict[str, Notice]:
    """One for each field."""
    found: dict[str, Notice] = {}
    for notice in notices:
        known = found.get(notice.field)
        found[notice.field] = notice if known is None else known.with_more(notice)
    return found


def of_run(kind: Kind, run: TaskRun, manager: PluginManager) -> Notice:
    """That of a task that has failed, or was given up."""
    at = run.ended_at or run.started_at or run.sent_at or 0.0
    problem = _problem(run)
    if kind == "dead":
        problem = f"given up: {run.reason or 'for a reason that is not known'}" + (f" ({problem})" if problem else "")
    return Notice(
        kind=kind,
        task=_line(run.task or "a message that is not a task"),
        plugin=_line(run.plugin),
        schedule=_line(run.by.schedule),
        first=at,
        last=at,
        id=_line(run.id),
        problem=_line(problem or run.reason),
        frame=_line(_frame(run.error, manager)),
    )


def of_missed(run: MissedRun) -> Notice:
    """That of a run of the schedule that was missed."""
    return Notice(
        kind="missed",
        task=_line(run.task),
        plugin=_line(run.plugin or ""),
        schedule=_line(run.schedule),
        first=run.due_at,
        last=run.due_at,
        id="",
        problem=_line(run.reason),
        frame="",
    )


def _problem(run: TaskRun) -> str:
    """The error in one line, its type first: the traceback from where it says which one it is."""
    lines = [line.strip() for line in run.traceback.strip().splitlines()]
    begin = re.compile(rf"(?:\w+\.)*{re.escape(type(run.error).__name__)}(?::|$)")
    first = next((at for at in reversed(range(len(lines))) if begin.match(lines[at])), len(lines) - 1)
    return " ".join(lines[max(0, first) :])


def _frame(error: BaseException | None, manager: PluginManager) -> str:
    """Where a plugin stood last."""
    found = ""
    for frame, line in traceback.walk_tb(None if error is None else error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if isinstance(module, str) and manager.plugin_of_module(module) is not None:
            file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
            found = f"{file}:{line} in {frame.f_code.co_name}"
    return found


def _line(text: str) -> str:
    """One line that moves no cursor and turns no text around, whoever wrote it."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= LONGEST_LINE else f"{shown[: LONGEST_LINE - 1]}…"

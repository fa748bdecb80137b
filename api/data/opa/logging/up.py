"""The log of `opa up`, where three processes write to one terminal that someone looks at all day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opa.logging.folding import library_of
from opa.logging.lines import text_line

if TYPE_CHECKING:
    from loguru import Record

INFO, WARNING = 20, 30
_COLORS = {"api": "cyan", "worker": "magenta", "beat": "yellow"}
_LIFE_OF_A_SERVER = "uvicorn.error"
_RUNS_OF_TASKS = ("celery.worker.strategy", "celery.app.trace")


def up_line(record: Record, *, process: str, colored: bool, is_folded: bool) -> str:
    """For loguru's `format`: the time, the process, and the message; a level only where something may be wrong.

    The place stands behind what the user's own code writes.
    """
    text_line(record, colored=colored, is_folded=is_folded)
    number = record["level"].no
    mark = "" if number < WARNING else "{level} "
    style = "level" if number >= WARNING else "dim" if number < INFO else "normal"
    color = _COLORS.get(process, "normal")
    where = " <dim>{file.name}:{line}</dim>" if is_of_user(record) else ""
    head = f"<dim>{{time:HH:mm:ss}}</dim> <{color}>{process: <6}</{color}> "
    return f"{head}<{style}>{mark}{{message}}</{style}><dim>{{_extra}}</dim>{where}\n{{_exception}}"


def is_of_user(record: Record) -> bool:
    """Whether the user's own code wrote the line."""
    return library_of(record["file"].path) is None


def is_shown(record: Record, *, process: str) -> bool:
    """Whether a line is worth a look: all of the user's own code, all warnings, and no inner life of servers."""
    name, number = record["name"] or "", record["level"].no
    if number >= WARNING or is_of_user(record):
        return True
    if name.startswith("celery."):
        return name in _RUNS_OF_TASKS or record["message"].startswith("Scheduler: Sending")
    if name == "opa.core.components" and process != "api":
        return False  # each process of a worker says the same
    return number >= INFO and name != _LIFE_OF_A_SERVER

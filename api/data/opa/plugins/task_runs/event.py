"""What passes from the observer to the thread that writes it."""

from __future__ import annotations

from typing import NamedTuple

from opa import TaskRun
from opa.plugins.task_runs.said import Said

INTERVAL = 0.25
"""Seconds in which events come together, before they are written."""


class Event(NamedTuple):
    """What became of a run.

    Attributes:
        id: of the task.
        tries: which try it is.
        text: the event as redis is given it; empty for one that was sent.
        sent: what was sent, of which the thread that writes makes the text.
        said: what the run has logged, if anything.
        traceback: of its error.
    """

    id: str
    tries: int
    text: str = ""
    sent: TaskRun | None = None
    said: Said | None = None
    traceback: str = ""

"""What passes from the observer to the thread that writes it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from opa import TaskRun
from opa.plugins.task_runs.said import Said

INTERVAL = 0.25
"""Seconds in which events come together, before they are written."""


class Event(NamedTuple):
    """What became of a run.

    Attributes:
        state: that it is in.
        run: what is known of it.
        said: what it has logged.
        error: the last line of its traceback.
        traceback: of its error.
    """

    state: str
    run: TaskRun
    said: Said | None = None
    error: str = ""
    traceback: str = ""


class Taken:
    """What a process has taken down and not written yet.

    Args:
        worker: by which this process and its children are known.

    Attributes:
        events: what became of runs, the oldest first.
        running: those that run in this process, with what they have logged.
        dropped: how many events were one too many.
        is_off: whether nothing can be written at all.
        is_worker: whether this is the process of a worker that has children, or threads, for tasks.
        has_news: whether the writer knows that there is something.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.events: deque[Event] = deque()
        self.running: dict[str, tuple[TaskRun, Said]] = {}
        self.dropped = 0
        self.is_off = self.is_worker = self.has_news = False

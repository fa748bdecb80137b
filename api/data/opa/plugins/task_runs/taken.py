"""What a process has taken down, for the observer that adds to it, and the thread that writes it."""

from __future__ import annotations

from collections import deque

from opa import TaskRun
from opa.plugins.task_runs.event import Event
from opa.plugins.task_runs.journal import Journal
from opa.plugins.task_runs.said import Said


class Taken:
    """What a process has taken down and not written yet.

    Args:
        worker: by which this process and its children are known.
        journal: what outlives the process.

    Attributes:
        events: what became of runs, the oldest first.
        running: those that run in this process, with what they have logged.
        dropped: how many events were one too many.
        is_off: whether nothing can be written at all.
        is_worker: whether this is the process of a worker that has children, or threads, for tasks.
        has_news: whether the writer knows that there is something.
    """

    def __init__(self, worker: str, journal: Journal) -> None:
        self.worker = worker
        self.journal = journal
        self.events: deque[Event] = deque()
        self.running: dict[str, tuple[TaskRun, Said]] = {}
        self.dropped = 0
        self.is_off = self.is_worker = self.has_news = False

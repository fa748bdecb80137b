"""Tasks by name, plugin, queue and what became of them, with how long they waited and took."""

from __future__ import annotations

from bisect import bisect_left
from math import inf

from opa import TaskObserver, TaskRun
from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.state import cells

BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, inf)
OTHER, NONE = "other", "none"
MOST_SERIES = 5000
LABELS = ("task", "plugin", "queue")
TASKS = Definition("counter", "opa_tasks", "What became of tasks, each time that it did.", labels=(*LABELS, "state"))
DURATION = Definition(
    "histogram",
    "opa_task_duration_seconds",
    "Tries of tasks that have ended, by how long their function ran.",
    labels=LABELS,
    bounds=BOUNDS,
)
WAITING = Definition(
    "histogram",
    "opa_task_waiting_seconds",
    "First tries, by the time from being sent until the function was called.",
    labels=LABELS,
    bounds=BOUNDS,
)
RUNNING = Definition("gauge", "opa_tasks_running", "Tasks whose function runs.", "livesum", LABELS)
SCHEDULED = Definition("counter", "opa_schedule_sent", "Tasks that a schedule has sent.", labels=("schedule",))


class TaskMetrics(TaskObserver):
    """Counts in the process where it happens."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[str, ...]] = {}
        # Here: a worker also tells the end of what has run in a child that was killed, and is counted there no more.
        self._running: dict[str, tuple[str, ...]] = {}

    def started(self, run: TaskRun) -> None:
        """Its function is about to be called."""
        labels = self._count(run, "started")
        self._running[run.id] = labels
        _add(RUNNING, "", labels, 1.0)
        # A countdown is no waiting.
        if run.tries == 1 and run.sent_at and run.started_at and not run.headers.get("eta"):
            _observe(WAITING, labels, max(run.started_at - run.sent_at, 0.0))

    def sent(self, run: TaskRun) -> None:
        """The broker has it."""
        self._count(run, "sent")
        if run.by.schedule:
            _add(SCHEDULED, "_total", (run.by.schedule,), 1.0)

    def succeeded(self, run: TaskRun) -> None:
        """It has returned."""
        self._end(run, "succeeded")

    def failed(self, run: TaskRun) -> None:
        """It has raised."""
        self._end(run, "failed")

    def retried(self, run: TaskRun) -> None:
        """Another try is sent."""
        self._end(run, "retried")

    def received(self, run: TaskRun) -> None:
        """A worker has it."""
        self._count(run, "received")

    def given_back(self, run: TaskRun) -> None:
        """Another worker gets it."""
        self._end(run, "given_back")

    def revoked(self, run: TaskRun) -> None:
        """It does not run, or not to its end."""
        self._end(run, "revoked")

    def dead(self, run: TaskRun) -> None:
        """It is among the dead letters."""
        self._count(run, "dead")

    def _end(self, run: TaskRun, state: str) -> None:
        labels = self._count(run, state)
        running = self._running.pop(run.id, None)
        if running is not None:
            _add(RUNNING, "", running, -1.0)
        if run.started_at is not None and run.ended_at is not None:
            _observe(DURATION, labels, max(run.ended_at - run.started_at, 0.0))

    def _count(self, run: TaskRun, state: str) -> tuple[str, ...]:
        key = run.task, run.plugin, run.queue
        labels = self._known.get(key)
        if labels is None:
            # Anyone can send any name, and a name more each time.
            is_known = bool(run.plugin) or run.task.startswith("celery.")
            labels = (run.task if is_known else OTHER, run.plugin or NONE, run.queue or NONE)
            if len(self._known) >= MOST_SERIES:
                labels = (OTHER, OTHER, OTHER)
            elif is_known:
                self._known[key] = labels
            else:
                labels = (OTHER, NONE, OTHER)
        _add(TASKS, "_total", (*labels, state), 1.0)
        return labels


def _add(definition: Definition, suffix: str, labels: tuple[str, ...], amount: float) -> None:
    cells.increase(cells.allocate(definition, suffix, labels), amount)


def _observe(definition: Definition, labels: tuple[str, ...], seconds: float) -> None:
    first = cells.allocate(definition, "", labels, len(BOUNDS) + 1)
    cells.increase(first + bisect_left(BOUNDS, seconds), 1.0)
    cells.increase(first + len(BOUNDS), seconds)

"""What plugins are told of tasks."""

from __future__ import annotations

from collections.abc import Iterable

from opa.tasks.observing.run import TaskRun


class TaskObserver:
    """Is told what becomes of tasks: a member of the group `task_observers`.

    Each method does nothing, and one that a class does not override is never called. They are called in the process,
    and in the thread, where it happens, so they return at once and wait for nothing. What they raise is logged once,
    and never reaches the task. Processes differ in their clocks, and what one tells may be known after what the next
    one does: `started` of a worker before `sent` of who has sent it.
    """

    def sent(self, run: TaskRun) -> None:
        """The broker has it. `run.reason` is `sent again` where it comes from the dead letters."""

    def received(self, run: TaskRun) -> None:
        """A worker has taken it from its queue; it may wait there for its time, or for a process."""

    def started(self, run: TaskRun) -> None:
        """Its function is about to be called."""

    def logged(self, run: TaskRun, line: str) -> None:
        """A line was logged while it runs: as in the log that is text, masked, and it ends with a newline."""

    def retried(self, run: TaskRun) -> None:
        """This try has ended, and another one is sent: `run.error` is why, where there was an error."""

    def given_back(self, run: TaskRun) -> None:
        """This worker does not end it, and the broker gives it to another one: `run.reason` says why."""

    def succeeded(self, run: TaskRun) -> None:
        """It has returned `run.result`, which is stored."""

    def failed(self, run: TaskRun) -> None:
        """It has raised `run.error`, or was ended for it; this was its last try."""

    def revoked(self, run: TaskRun) -> None:
        """It does not run, or not to its end: `run.reason` is `revoked`, `expired` or `terminated`."""

    def dead(self, run: TaskRun) -> None:
        """It is among the dead letters: `run.reason` says why."""

    async def state(self, task_id: str) -> str | None:
        """What it knows of a task whose result has no state: None for nothing, `PENDING` for one that waits.

        Of the members of the group, the first that knows something is taken.
        """

    def cancelled(self) -> Iterable[str]:
        """The ids of tasks that are not to run; asked once, when a worker starts."""
        return ()

    def worker_ready(self) -> None:
        """A worker takes tasks from now on; called once, in its own process, when those for its tasks are forked."""

    def stop(self) -> None:
        """The process ends: what is kept back is to be written now, within a second or two."""


EVENTS = tuple(name for name in vars(TaskObserver) if not name.startswith("_"))
"""The names of the methods."""

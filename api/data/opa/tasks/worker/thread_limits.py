"""Time limits of `def` tasks in threads, for a worker to which a debugger may attach: it has one process.

A thread cannot be interrupted. At the hard limit the task has failed all the same, and its thread is left to itself; at
the soft one a line of the log says so. While a debugger is attached no limit holds: the task may stand at a breakpoint.

They hold until the function has ended. What Celery does after that, such as storing the result, has none; nor has an
`async def` task here, since that holds its limits by itself.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opa.logging.logger import log
from opa.tasks.worker import soft_limit

POLL_INTERVAL = 0.1
"""Seconds between two looks at the tasks that run."""


class GivenUpError(BaseException):
    """The task has had its time, and has failed; no exception of its own, so that its end is not noted once more."""


@dataclass(eq=False)
class Limited:
    """A task that runs.

    Attributes:
        task_id: its id.
        soft: seconds; None without a limit.
        hard: the same.
        on_timeout: Celery's: is told whether it is the soft limit, and the limit.
        end: is called at the hard limit; whatever the task does then is ignored.
    """

    task_id: str
    soft: float | None
    hard: float | None
    on_timeout: Callable[[bool, float], None]
    end: Callable[[], None]

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.is_warned = self.is_given_up = False


class ThreadLimits:
    """Looks after the tasks in threads, in a thread of its own that begins with the first one."""

    def __init__(self) -> None:
        self._running: set[Limited] = set()
        """Anyone who takes a task out of it has its end to note: its own thread, or the one that watches."""
        self._changed = threading.Condition()
        self._watch: threading.Thread | None = None

    @contextlib.contextmanager
    def of(self, limited: Limited) -> Iterator[None]:
        """Hold the limits of a task while this context lasts, in the thread of the task.

        Raises:
            GivenUpError: it has had its time meanwhile.
        """
        with self._changed:
            self._running.add(limited)
            self._changed.notify()
            if self._watch is None:
                self._watch = threading.Thread(target=self._watch_all, name="time-limits", daemon=True)
                self._watch.start()

        def spare(task_id: str | None) -> None:
            if task_id == limited.task_id:  # and not one that it runs here and now
                self._spare(limited)

        try:
            with soft_limit.telling(spare):
                yield
        finally:
            self._spare(limited)

    def _spare(self, limited: Limited) -> None:
        with self._changed:
            self._running.discard(limited)
            if limited.is_given_up:
                raise GivenUpError

    def _give_up(self, limited: Limited) -> bool:
        """Whether it still ran."""
        with self._changed:
            if limited in self._running:
                self._running.discard(limited)
                limited.is_given_up = True
            return limited.is_given_up

    def _watch_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
            self._look()
            time.sleep(POLL_INTERVAL)

    def _look(self) -> None:
        with self._changed:
            running = tuple(self._running)
        for limited in running:
            if _is_debugged():
                limited.began = time.monotonic()
            try:
                self._hold(limited, time.monotonic() - limited.began)
            except Exception as error:  # noqa: BLE001 - the limits of the others hold
                log.opt(exception=error).error("the end of a task at its time limit cannot be noted")

    def _hold(self, limited: Limited, seconds: float) -> None:
        if limited.hard and seconds >= limited.hard:
            if self._give_up(limited):
                limited.end()
                limited.on_timeout(False, limited.hard)
        elif limited.soft and seconds >= limited.soft and not limited.is_warned and limited in self._running:
            limited.is_warned = True
            limited.on_timeout(True, limited.soft)


def _is_debugged() -> bool:
    debugpy: Any = sys.modules.get("debugpy")
    return debugpy is not None and bool(debugpy.is_client_connected())


def warn_of_soft_limits(tasks: Iterable[Any]) -> None:
    """Say of each task with a soft limit of its own that it is not interrupted here."""
    for task in tasks:
        is_of_settings = "soft_time_limit" in getattr(task, "options_from_settings", ())
        if task.soft_time_limit and not is_of_settings and not inspect.iscoroutinefunction(inspect.unwrap(task.run)):
            log.warning(
                f"task '{task.name}' is not interrupted at its soft_time_limit of {task.soft_time_limit:g} s, since a "
                "debugger may attach and tasks run in threads; set DEBUGPY to false to have it"
            )

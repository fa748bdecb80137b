"""What is told of failures, and hands them to the thread of its process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from opa import TaskObserver, config, get_plugin_manager
from opa.plugins.notify.courier import Courier, Target
from opa.plugins.notify.notice import Notice, of_missed, of_run

if TYPE_CHECKING:
    from opa import MissedRun, TaskRun

STOP_LIMIT = 2.0
"""Seconds that a process which ends waits for what it is to tell."""
KEPT_WITHIN = 8.0
"""Seconds in which a missed run is in redis: until then, beat has not told it."""


class Notifier:
    """The members of the groups."""

    def __init__(self) -> None:
        self._targets = [Target(name, options) for name, options in config.NOTIFY.items()]
        self._lock = threading.Lock()
        self._courier: tuple[int, Courier] | None = None

    def failed(self, run: TaskRun) -> None:
        """A task has failed."""
        self._tell(of_run("failed", run, get_plugin_manager()))

    def dead(self, run: TaskRun) -> None:
        """A task was given up."""
        self._tell(of_run("dead", run, get_plugin_manager()))

    def missed(self, run: MissedRun) -> None:
        """A schedule was not sent in time."""
        notice = of_missed(run)
        if any(target.wants(notice) for target in self._targets):
            self.courier().put(notice).result(KEPT_WITHIN)

    def courier(self, *, stays: bool = False) -> Courier:
        """That of this process: a worker forks, and threads stay behind."""
        pid = os.getpid()
        if self._courier is None or self._courier[0] != pid:
            self._lock = threading.Lock() if self._courier is not None else self._lock
            with self._lock:
                if self._courier is None or self._courier[0] != pid:
                    self._courier = (pid, Courier(get_plugin_manager(), self._targets, stays=stays))
        return self._courier[1]

    def stop(self) -> None:
        """The process ends."""
        if self._courier is not None and self._courier[0] == os.getpid():
            self._courier[1].stop(STOP_LIMIT)

    def _tell(self, notice: Notice) -> None:
        if any(target.wants(notice) for target in self._targets):
            self.courier().put(notice)


class Watching(TaskObserver):
    """Looks after what other processes have collected, in the process of a worker that takes the messages."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def worker_ready(self) -> None:
        """Start the thread."""
        courier = self._notifier.courier(stays=True)
        courier.stays = True
        courier.start()

    def stop(self) -> None:
        """Tell what is collected."""
        self._notifier.stop()

"""The groups `on_task_failed` and `on_task_dead`: functions of plugins that are told of failures."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from opa.core.listeners import Listeners
from opa.loading.conventions import TASK_DEAD_GROUP, TASK_FAILED_GROUP
from opa.tasks.observing.observer import TaskObserver

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.observing.run import TaskRun

GROUPS = (TASK_FAILED_GROUP.name, TASK_DEAD_GROUP.name)
STOP_LIMIT = 2.0
"""Seconds that a process which ends waits for what is to be told."""


class Listening(TaskObserver):
    """Has the functions called, beside the tasks.

    Args:
        manager: that they belong to.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._made: tuple[int, Listeners] | None = None

    def failed(self, run: TaskRun) -> None:
        """Tell `on_task_failed`."""
        self._listeners().tell(TASK_FAILED_GROUP.name, run)

    def dead(self, run: TaskRun) -> None:
        """Tell `on_task_dead`."""
        self._listeners().tell(TASK_DEAD_GROUP.name, run)

    def stop(self) -> None:
        """Wait until all is told, for a while."""
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].wait_until_told(STOP_LIMIT)

    def _listeners(self) -> Listeners:
        """Those of this process: a worker forks, and threads stay behind."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = (os.getpid(), Listeners(self._loop))
        return self._made[1]

    def _loop(self) -> asyncio.AbstractEventLoop | None:
        """That in which the components of this process are connected."""
        components: list[Any] = list(self._manager.optional_components.values())
        loops = (component.breaker.loop for component in components)
        return next((loop for loop in loops if loop is not None and loop.is_running()), None)

"""The tasks of the plugins, whose Celery application is made when something needs it: many projects have no task."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.tasks.application import TaskApplication


class PendingTasks:
    """What `PluginManager.tasks` is."""

    def __init__(self) -> None:
        self._application: TaskApplication | None = None
        self._discarded: list[str] = []
        self._when_made: list[Callable[[], None]] = []

    @property
    def are_used(self) -> bool:
        """Whether there may be tasks: a plugin, or a component, has imported Celery."""
        return self._application is not None or "celery" in sys.modules

    def application(self) -> TaskApplication:
        """The Celery application that they belong to."""
        if self._application is None:
            from opa.tasks.application import TaskApplication

            self._application = TaskApplication()
            for module in self._discarded:
                self._application.discard(module)
            for function in self._when_made:
                function()
        return self._application

    def when_made(self, function: Callable[[], None]) -> None:
        """Call `function` when the application is made."""
        self._when_made.append(function)

    def functions(self) -> Mapping[str, Callable[..., object]]:
        """The functions that they were made from, by the name of the task."""
        return self.application().functions() if self.are_used else {}

    def discard(self, module: str) -> None:
        """Take out the tasks of the plugin whose module is `module`."""
        if self._application is None:
            self._discarded.append(module)
        else:
            self._application.discard(module)

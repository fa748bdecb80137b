"""What the plugin manager asks of the background tasks of its plugins, whatever runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class PluginTasks(Protocol):
    """The tasks of the plugins."""

    @property
    def are_used(self) -> bool:
        """Whether there may be tasks."""

    def application(self) -> Any:
        """What runs them, such as a `celery.Celery`; made when it is first asked for."""

    def when_made(self, function: Callable[[], None]) -> None:
        """Call `function` when that is made."""

    def functions(self) -> Mapping[str, Callable[..., object]]:
        """The functions that they were made from, by the name of the task."""

    def discard(self, module: str) -> None:
        """Take out the tasks of the plugin whose module is `module`."""

"""Tasks that handle events by themselves: they have a name and tries of their own, and are given the event as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from opa.core.running import register
from opa.events.event import Event
from opa.events.names import EVENT_HANDLERS_GROUP, expression
from opa.tasks.decorator import task

Function = TypeVar("Function", bound=Callable[..., Any])


class TaskHandler:
    """A member of the group of handlers.

    Args:
        name: of the task.
        patterns: names of events.
        module: of its function: the plugin that is skipped takes its handlers along.
    """

    here = False

    def __init__(self, name: str, patterns: tuple[str, ...], module: str) -> None:
        self.name = self.uri = name
        self.__module__ = module
        self._patterns = expression(patterns)

    def takes(self, name: str) -> bool:
        """Whether it handles events of this name."""
        return self._patterns.fullmatch(name) is not None

    def check(self, event: Event, emitted: object) -> None:
        """Nothing that could fail to fit: it takes each payload."""


def task_handler(patterns: tuple[str, ...], name: str, options: dict[str, Any]) -> Callable[[Function], Function]:
    """As `opa.events.handles` has it."""

    def add(function: Function) -> Function:
        make: Any = task(**{"ignore_result": True, "acks_on_failure_or_timeout": False, **options}, name=name)
        make(function)
        handler = TaskHandler(name, patterns, function.__module__)
        register(EVENT_HANDLERS_GROUP, uri=handler.uri)(handler)
        return function

    return add

"""What is private in Flower, and used here."""

from __future__ import annotations

from typing import Any

from flower import events, inspector

_EventsState: Any = events.EventsState
_Inspector: Any = inspector.Inspector


class EventsState(_EventsState):  # type: ignore[misc]  # flower has no types
    """What Flower knows of workers and tasks, from their events."""

    counter: dict[str, Any]
    metrics: Any
    tasks_by_type: dict[str, Any]
    tasks_by_worker: dict[str, Any]
    workers: Any
    _seen_types: set[str]

    @property
    def seen_names(self) -> set[str]:
        """The names of all tasks that it has heard of."""
        return self._seen_types


class Inspector(_Inspector):  # type: ignore[misc]
    """What Flower asks the workers."""

    workers: dict[str, Any]

    def _on_update(self, workername: str, method: str, response: Any) -> None:
        self.note_answer(workername, method, response)

    def note_answer(self, worker: str, method: str, answer: Any) -> None:
        """Called by Flower with each answer of a worker."""
        super()._on_update(worker, method, answer)

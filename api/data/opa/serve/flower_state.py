"""What Flower keeps of workers and tasks: within bounds, also where events name others without end.

Celery keeps the latest workers and tasks alone. What Flower counts beside them, and its metrics, would stay for good:
with workers that have a new name after each deployment that is slow, with forged events it is not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from celery.utils.log import get_logger

from opa._compat.flower import EventsState, Inspector
from opa.serve.flower_events import backlog

logger = get_logger(__name__)

MAX_COUNTED = 20_000
"""Workers, and the kinds of events of each with the names of its tasks, that are counted."""
MAX_WORKERS = 5_000
"""Workers whose answers are kept, as many as those whose events are."""


class State(EventsState):
    """Flower's, which forgets the counts and metrics of the workers that it has not heard of for longest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()
        self._number = 0

    def event(self, event: Any) -> None:
        """Called with each event, in the thread of the web pages."""
        try:
            super().event(event)
            task = self.tasks.data.get(event.get("uuid"))
            self._count(event["hostname"], event["type"], event.get("name") or getattr(task, "name", None) or "")
        finally:
            backlog.release()

    def _count(self, worker: str, kind: str, name: str) -> None:
        kinds = self._counted.setdefault(worker, set())
        self._counted.move_to_end(worker)
        if (kind, name) not in kinds:
            kinds.add((kind, name))
            self._number += 1
            if self._number > MAX_COUNTED:
                self._forget()

    def _forget(self) -> None:
        """Forget so many that it need not be done again at once: it takes a look at all metrics."""
        # One that fills half of it alone is no worker of Celery's.
        gone = {worker for worker, kinds in self._counted.items() if len(kinds) > MAX_COUNTED / 2}
        left = self._number - sum(len(self._counted[worker]) for worker in gone)
        for worker, kinds in self._counted.items():
            if left <= MAX_COUNTED / 2:
                break
            if worker not in gone:
                gone.add(worker)
                left -= len(kinds)
        logger.warning("the counts and metrics of %d workers are forgotten: there are too many", len(gone))
        for worker in gone:
            del self._counted[worker]
            self.counter.pop(worker, None)
            self.workers.pop(worker, None)
        self._number = left
        self.metrics.remove_workers(gone)
        kept = list(self.tasks.data.values())
        _keep_only({task.name for task in kept}, self.tasks_by_type)
        _keep_only({task.worker.hostname for task in kept if task.worker}, self.tasks_by_worker)
        self.seen_names.intersection_update(self.tasks_by_type)


def _keep_only(names: set[str], index: dict[str, Any]) -> None:
    for name in index.keys() - names:
        del index[name]


class Workers(OrderedDict[str, dict[str, Any]]):
    """What workers have answered, without those that have not for longest."""

    def __missing__(self, worker: str) -> dict[str, Any]:
        if len(self) >= MAX_WORKERS:
            self.popitem(last=False)
        found: dict[str, Any] = {}
        self[worker] = found
        return found


class BoundedInspector(Inspector):
    """Flower's, which keeps the answers of so many workers, and drops what is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workers = Workers()

    def note_answer(self, worker: str, method: str, answer: Any) -> None:
        """Called with each answer of a worker."""
        if isinstance(answer, dict if method in ("stats", "conf") else list):
            super().note_answer(worker, method, answer)
        else:
            logger.debug("An answer is dropped, since it is none of Celery's")

"""Celery's application, its queues and producers, and what runs at this moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery, _state
from celery._state import get_current_task
from celery.app.amqp import AMQP
from celery.schedules import crontab

__all__ = [
    "Amqp",
    "Application",
    "announce_finalized",
    "crontab_fields",
    "forget_producers",
    "get_current_task",
    "used_pools",
]

CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Application(Celery):
    """A Celery application, whose tasks that are made can be looked at without that any other is made."""

    @property
    def made_tasks(self) -> dict[str, Any]:
        """The tasks that are made, by their names; `tasks` makes all that were declared."""
        made: dict[str, Any] = self._tasks  # type: ignore[attr-defined]  # celery-types lacks it
        return made

    def _task_from_fun(  # type: ignore[override]  # celery-types names all options
        self, fun: Callable[..., Any], name: str | None = None, base: Any = None, **options: Any
    ) -> Any:
        return self.task_from_function(fun, name, base, **options)

    def task_from_function(
        self, fun: Callable[..., Any], name: str | None = None, base: Any = None, **options: Any
    ) -> Any:
        """Called by Celery to make a task from a function, also from one of `shared_task`."""
        return super()._task_from_fun(fun, name=name, base=base, **options)


class Amqp(AMQP):
    """Celery's queues and producers."""

    def _create_task_sender(self) -> Any:
        return self.new_task_sender()

    def new_task_sender(self) -> Any:
        """Called by Celery once, for the function that sends tasks."""
        return super()._create_task_sender()  # type: ignore[misc]  # celery-types lacks it


def used_pools(app: Any) -> tuple[Any, Any]:
    """The pool of connections to the broker, and that of producers; None for one that was not used yet."""
    return app._pool, app.amqp._producer_pool


def forget_producers(amqp: AMQP) -> None:
    """Have the pool of producers made again when it is needed again."""
    amqp._producer_pool = None  # type: ignore[attr-defined]  # celery-types lacks it


def announce_finalized(app: Celery) -> None:
    """Declare the tasks of `shared_task` to an application, as if it were finalized; its `_task_from_fun` is called."""
    _state._announce_app_finalized(app)  # type: ignore[attr-defined]  # celery-types lacks it


def crontab_fields(schedule: crontab) -> list[str]:
    """The five fields of a schedule, as they were written."""
    return [str(getattr(schedule, f"_orig_{field}")) for field in CRONTAB_FIELDS]

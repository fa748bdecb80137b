"""Celery's application, its queues and producers, and what runs at this moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from typing import Any

from celery import Celery, _state
from celery._state import get_current_task
from celery.app.amqp import AMQP
from celery.schedules import crontab
from kombu.pools import ProducerPool

__all__ = [
    "Amqp",
    "Application",
    "announce_finalized",
    "begin_anew",
    "close_pools",
    "crontab_fields",
    "function_name",
    "get_current_task",
    "pool_of_connections",
    "pool_of_producers",
    "shared_tasks",
    "used_pools",
]

_creating = threading.RLock()
"""Held while pools are made, which happens once for each application."""

if hasattr(os, "register_at_fork"):
    # A process never begins while another thread of its parent holds it, which nobody would release there.
    os.register_at_fork(  # noqa: TID251 - once in a process
        before=_creating.acquire, after_in_parent=_creating.release, after_in_child=_creating.release
    )

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


def pool_of_connections(app: Any) -> Any:
    """The pool of connections to the broker; for any thread.

    kombu has one set of pools for all applications of a process, with one limit: to set that where threads use the
    pools, or make theirs, is an error. Here each application has its own pool with its own limit.
    """
    found = app._pool
    if found is None:
        with _creating:
            found = app._pool
            if found is None:
                app._ensure_after_fork()
                found = app._pool = app.connection_for_write().Pool(limit=app.conf.broker_pool_limit or 0)
    return found


def pool_of_producers(amqp: Any) -> Any:
    """The pool of what sends, on the connections of `pool_of_connections`; for any thread."""
    found = amqp._producer_pool
    if found is None:
        with _creating:
            found = amqp._producer_pool
            if found is None:
                connections = pool_of_connections(amqp.app)
                found = amqp._producer_pool = ProducerPool(connections, limit=connections.limit)
    return found


def used_pools(app: Any) -> tuple[Any, Any]:
    """The pool of connections to the broker, and that of producers; None for one that was not used yet."""
    return app._pool, app.amqp._producer_pool


def close_pools(app: Any) -> None:
    """Close all connections of both pools, which are created again when they are needed again."""
    with _creating:
        connections, app._pool, app.amqp._producer_pool = app._pool, None, None
    if connections is not None:
        connections.force_close_all()


def shared_tasks() -> frozenset[Any]:
    """What is called with each application that is finalized: it declares the tasks of `shared_task`."""
    return frozenset(_state._on_app_finalizers)  # type: ignore[attr-defined]  # celery-types lacks it


def begin_anew(shared: Collection[Any]) -> None:
    """Have neither a current application in this thread nor a default one.

    Args:
        shared: what `shared_tasks` gives, of which no more is kept, besides Celery's own.
    """
    _state.default_app = None  # type: ignore[attr-defined]  # celery-types lacks it
    _state._set_current_app(None)  # type: ignore[attr-defined]  # celery-types lacks it
    for each in shared_tasks().difference(shared):
        if each.__module__ != "celery.app.builtins":
            _state._on_app_finalizers.discard(each)  # type: ignore[attr-defined]  # celery-types lacks it


def function_name(task: Any) -> str:
    """The attribute of a task that has its function; what Celery adds for `autoretry_for` calls it by that name."""
    return "_orig_run" if hasattr(task, "_orig_run") else "run"


def announce_finalized(app: Celery) -> None:
    """Declare the tasks of `shared_task` to an application, as if it were finalized; its `_task_from_fun` is called."""
    _state._announce_app_finalized(app)  # type: ignore[attr-defined]  # celery-types lacks it


def crontab_fields(schedule: crontab) -> list[str]:
    """The five fields of a schedule, as they were written."""
    return [str(getattr(schedule, f"_orig_{field}")) for field in CRONTAB_FIELDS]

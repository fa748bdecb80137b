from __future__ import annotations

from celery.utils.imports import symbol_by_name
from celery.worker.consumer.control import Control

from opa.tasks.worker.consumer_steps import Readiness


def required_by(step: object) -> set[object]:
    """The steps that surely come before: of the others Celery makes any order, another one in each process."""
    direct = {symbol_by_name(each) for each in getattr(step, "requires", ())}
    return direct.union(*map(required_by, direct))


def test_a_worker_has_taken_tasks_only_once_its_own_queue_for_commands_is_there() -> None:
    # That queue is locked where another worker has the same name, which ends a worker that has taken none.
    assert Control in required_by(Readiness)

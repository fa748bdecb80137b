"""Celery's own lines in the log."""

from __future__ import annotations

import logging

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]  # celery-types lacks it
from billiard.exceptions import TimeLimitExceeded
from billiard.util import get_logger as billiard_logger

from opa.tasks.request_ids import actor_of_task, request_id_of_task

RECEIVED, RUN = "celery.worker.strategy", "celery.app.trace"
"""The loggers that write a line when a task has come, and when it is done."""
FAILED = "celery.worker.request"
"""The logger that writes a line when a task has failed of which its own process could not say it."""
WAITING = "Waiting("
"""How the exception is written by which a task with limits is sent on; it waits for its turn, and is not ignored."""


class WithoutArguments(logging.Filter):
    """Leaves id and name of the task, and none of its arguments: they may be secret, and every task would log them.

    The id of the request that has sent it, and who sent that, are added.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change what a record has besides its message."""
        data = record.__dict__.pop("data", None)
        if isinstance(data, dict):
            if str(data.get("exc", "")).startswith(WAITING):
                return False
            record.task, record.task_id = data.get("name"), data.get("id")
        if request_id := request_id_of_task():
            record.request_id = request_id
        if actor := actor_of_task():
            record.actor = actor.id
        return True


def without_text_of_billiard(record: logging.LogRecord) -> bool:
    """Leave the exception itself, and not the one that carries its traceback as a text, which cannot be folded.

    That of a time limit is nothing by itself: the next line says which limit it was, and of which task.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ExceptionWithTraceback):
        error = error.exc
        record.exc_info = (type(error), error, error.__traceback__)
    return not isinstance(error, TimeLimitExceeded)


def lead_records() -> None:
    """Lead the warnings of billiard, which runs Celery's processes, into the log, and what Celery says of single tasks.

    billiard's would go to standard error as they are.
    """
    billiard_logger().propagate = True
    billiard_logger().setLevel(logging.WARNING)
    logging.getLogger(FAILED).addFilter(without_text_of_billiard)
    shorten_records()


def shorten_records() -> None:
    """Have a line for each task that is done, and one for each that has come at level debug alone: lines cost time."""
    for name in (RECEIVED, RUN):
        logger = logging.getLogger(name)
        if not any(isinstance(found, WithoutArguments) for found in logger.filters):
            logger.addFilter(WithoutArguments())
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        logging.getLogger(RECEIVED).setLevel(logging.WARNING)

"""Celery's own lines in the log."""

from __future__ import annotations

import logging

LOGGERS = ("celery.app.trace", "celery.worker.strategy")


class WithoutArguments(logging.Filter):
    """Leaves id and name of the task, and none of its arguments: they may be secret, and every task would log them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change what a record has besides its message."""
        data = record.__dict__.pop("data", None)
        if isinstance(data, dict):
            record.task, record.task_id = data.get("name"), data.get("id")
        return True


def shorten_records() -> None:
    """Let Celery's records of single tasks pass through `WithoutArguments`."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(found, WithoutArguments) for found in logger.filters):
            logger.addFilter(WithoutArguments())

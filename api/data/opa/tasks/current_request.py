"""The request of the task that this code runs for."""

from __future__ import annotations

from contextvars import ContextVar

from celery.app.task import Context

from opa._compat.celery.app import get_current_task

current_request: ContextVar[Context | None] = ContextVar("opa_task_request", default=None)
"""A coroutine does not run in the thread that Celery keeps its request for."""


def is_in_task() -> bool:
    """Whether this code runs for a task; also in a coroutine, and in a thread that one has started to send from."""
    return get_current_task() is not None or current_request.get() is not None

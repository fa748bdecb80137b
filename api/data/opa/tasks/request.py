"""A task in the hands of a worker."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request as CeleryRequest


class Request(CeleryRequest):
    """Celery's request, whose cancellation needs no result backend."""

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the task when the connection to the broker is lost, or when the worker stops.

        The broker gives a task that is acknowledged late to another worker, so it is not one that is to be retried.
        Celery would note that it is, which takes a call of the backend for each task in the process that holds the
        connection to the broker; and where the backend is gone as well, the task would go on, and run twice at a time.
        """
        super().cancel(pool, signal=signal, emit_retry=emit_retry and not self.task.acks_late)
        # A thread goes on. The connection on which its end could be acknowledged is gone, and to try would be an error.
        self.acknowledged = True

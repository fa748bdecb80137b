"""Celery's worker, its requests, and its pool of processes."""

from __future__ import annotations

from typing import Any

from celery.apps import worker as celery_worker
from celery.concurrency import prefork
from celery.worker import request as celery_request

run_ready_callbacks = prefork._run_ready_callbacks  # type: ignore[attr-defined]  # celery-types lacks it
"""Run what waits in the event loop to acknowledge, or to refuse, the messages of tasks that have ended."""


class Request(celery_request.Request):
    """A task in the hands of a worker."""

    _connection_errors: tuple[type[Exception], ...]

    @property
    def lost_connection(self) -> tuple[type[Exception], ...]:
        """The errors that say that the connection to the broker is lost."""
        return self._connection_errors

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        self.tell_revoked(reason, terminated, signum, expired)

    def tell_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Called by Celery for a task that is not to run; it stores that, and acknowledges the message."""
        super()._announce_revoked(reason, terminated, signum, expired)  # type: ignore[misc]  # celery-types lacks it

    def note_revoked(self) -> None:
        """Have Celery do nothing more about it."""
        self._already_revoked = True


class Worker(celery_worker.Worker):
    """A worker."""

    def _process_task(self, req: Any) -> None:
        self.hand_to_pool(req)

    def hand_to_pool(self, req: Any) -> None:
        """Called by Celery with a task for which the pool has a place."""
        super()._process_task(req)  # type: ignore[misc]  # celery-types lacks it

    def free_place(self) -> None:
        """Give back the place of a task in the pool; nothing where the pool counts none."""
        if release := getattr(self, "_quick_release", None):
            release()

    def _send_worker_shutdown(self) -> None:
        self.tell_stopped()

    def tell_stopped(self) -> None:
        """Called by Celery when the pool has stopped."""
        super()._send_worker_shutdown()  # type: ignore[misc]  # celery-types lacks it


def children_of(pool: Any) -> list[Any]:
    """The processes of a prefork pool, as billiard knows them."""
    running = getattr(pool, "_pool", None)
    return list(running._pool) if running else []

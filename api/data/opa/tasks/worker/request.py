"""A task in the hands of a worker."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionInfo
from celery.exceptions import Ignore, Reject
from celery.worker.state import task_ready

from opa._compat.celery import worker
from opa.logging.logger import log


class OutOfMemoryError(Exception):
    """A task could not get the memory that it asked for; Celery's worker would end where a task raises MemoryError."""


class Request(worker.Request):
    """Celery's request, whose cancellation needs no result backend, and whose end does not end the worker."""

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the task when the connection to the broker is lost, or when the worker stops.

        The broker gives a task that is acknowledged late to another worker, so it is not one that is to be retried.
        Celery would note that it is, which takes a call of the backend for each task in the process that holds the
        connection to the broker; and where the backend is gone as well, the task would go on, and run twice at a time.
        """
        super().cancel(pool, signal=signal, emit_retry=emit_retry and not self.task.acks_late)
        # A thread goes on. The connection on which its end could be acknowledged is gone, and to try would be an error.
        self.acknowledged = True

    def on_success(self, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        """Called when the task has run, whether it succeeded or raised."""
        return self._ended(super().on_success, failed__retval__runtime, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Called when the task has had its time."""
        return self._ended(super().on_timeout, soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Called when the task raised, or when what Celery does around it did."""
        error = exc_info.exception
        error = getattr(error, "exc", error)  # as it comes from another process
        if exc_info.internal and not isinstance(error, Reject | Ignore):
            what = "has run, and its end cannot be noted" if self.time_start else "cannot be run"
            cause = type(error).__name__
            log.error(f"task {self.name}[{self.id}] {what} ({cause}). It is kept, see `opa tasks dead`")
            self._give_up()
            return None
        if isinstance(error, MemoryError):
            exc_info = _raised(OutOfMemoryError(str(error) or "there was not enough memory"))
        return self._ended(super().on_failure, exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def tell_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Called for a task that is not to run."""
        try:
            super().tell_revoked(reason, terminated, signum, expired)
        except Exception as error:  # noqa: BLE001 - the results' server is gone: that is no trouble of the broker's
            log.warning(f"that task {self.id} was {reason} cannot be stored ({type(error).__name__})")
            self.note_revoked()
            self.acknowledge()

    def _ended(self, what_celery_does: Any, *args: Any, **kwargs: Any) -> Any:
        """Note the end of the task. Where that fails, the message is kept, unless it is acknowledged already."""
        try:
            return what_celery_does(*args, **kwargs)
        except self.lost_connection:
            raise
        except Exception as error:  # noqa: BLE001 - the process holds the tasks of everyone
            log.opt(exception=error).error(f"the end of task {self.name}[{self.id}] cannot be noted")
            self._give_up()

    def _give_up(self) -> None:
        task_ready(self)
        if not self.acknowledged:
            self.reject(requeue=False)


def _raised(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()

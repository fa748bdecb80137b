"""A task in the hands of a worker."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionInfo
from celery.exceptions import Ignore, Reject, WorkerLostError
from celery.worker.state import task_ready

from opa._compat.celery import worker
from opa.logging.logger import log
from opa.tasks.observing.worker import noting_failure


class OutOfMemoryError(Exception):
    """A task could not get the memory that it asked for; Celery's worker would end where a task raises MemoryError."""


class Request(worker.Request):
    """Celery's request, whose cancellation needs no result backend, and whose end does not end the worker.

    Attributes:
        is_told: whether observers know what became of it.
    """

    is_told = False

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the task when the connection to the broker is lost, or when the worker stops.

        The broker gives a task that is acknowledged late to another worker, so it is not one that is to be retried.
        Celery would note that it is, which takes a call of the backend for each task in the process that holds the
        connection to the broker; and where the backend is gone as well, the task would go on, and run twice at a time.
        """
        if self.time_start and self.task.acks_late:
            self.tell("given_back", reason="its worker stops, or has lost the broker")
        super().cancel(pool, signal=signal, emit_retry=emit_retry and not self.task.acks_late)
        # A thread goes on. The connection on which its end could be acknowledged is gone, and to try would be an error.
        self.acknowledged = True

    def on_success(self, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        """Called when the task has run, whether it succeeded or raised."""
        return self._ended(super().on_success, failed__retval__runtime, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Called when the task has had its time."""
        with noting_failure() as failure:
            ended = self._ended(super().on_timeout, soft, timeout)
        if "error" in failure:
            self.tell("failed", error=failure["error"])
        return ended

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Called when the task raised, or when what Celery does around it did."""
        error = exc_info.exception
        error = getattr(error, "exc", error)  # as it comes from another process
        if exc_info.internal and not isinstance(error, Reject | Ignore):
            what = "has run, and its end cannot be noted" if self.time_start else "cannot be run"
            cause = type(error).__name__
            log.error(f"task {self.name}[{self.id}] {what} ({cause}). It is kept, see `opa tasks dead`")
            self.give_up()
            return None
        if isinstance(error, MemoryError):
            exc_info = _raised(OutOfMemoryError(str(error) or "there was not enough memory"))
        with noting_failure() as failure:
            ended = self._ended(super().on_failure, exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        self.tell_failure(error, failure)
        return ended

    def tell_failure(self, error: BaseException, failure: dict[str, Any]) -> None:
        """Tell observers what the process of the task could not; what has failed there, that has told."""
        if "error" in failure:
            self.tell("failed", error=failure["error"])
        elif isinstance(error, Ignore) and not isinstance(error, Reject):
            self.tell("succeeded", reason="ignored")
        elif isinstance(error, WorkerLostError) and self.acknowledged:
            self.tell("succeeded")  # its result was stored, and then its process was lost

    def reject(self, requeue: bool = False) -> None:
        """Refuse the message: the broker gives it to another worker, or puts it among the dead letters."""
        if self.acknowledged:
            return
        super().reject(requeue=requeue)
        app: Any = self.app
        is_last = requeue and self._deliveries() >= app.delivery_limit
        if requeue and not is_last:
            self.tell("given_back", reason="its process was lost, or it has asked for that")
        elif is_last and getattr(self.message.channel, "tells_of_delivery_limit", False):
            self.is_told = True
        else:
            self.tell("dead", reason="delivery_limit" if is_last else "rejected")

    def _deliveries(self) -> int:
        count = self.request_dict.get("x-delivery-count")
        return (count if type(count) is int else 0) + 1

    def tell(self, event: str, **more: Any) -> None:
        """Tell observers, once, what has become of it here."""
        app: Any = self.app
        observers = app.observers
        if observers is None or self.is_told:
            return
        self.is_told = True
        observers.tell_end(event, self.request_dict, started_at=self.time_start, **more)

    def tell_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Called for a task that is not to run."""
        try:
            super().tell_revoked(reason, terminated, signum, expired)
        except Exception as error:  # noqa: BLE001 - the results' server is gone: that is no trouble of the broker's
            log.warning(f"that task {self.id} was {reason} cannot be stored ({type(error).__name__})")
            self.note_revoked()
            self.acknowledge()
        self.tell("revoked", reason=reason)

    def _ended(self, what_celery_does: Any, *args: Any, **kwargs: Any) -> Any:
        """Note the end of the task. Where that fails, the message is kept, unless it is acknowledged already."""
        try:
            return what_celery_does(*args, **kwargs)
        except self.lost_connection:
            raise
        except Exception as error:  # noqa: BLE001 - the process holds the tasks of everyone
            log.opt(exception=error).error(f"the end of task {self.name}[{self.id}] cannot be noted")
            self.give_up()

    def give_up(self) -> None:
        """Have its message kept among the dead letters, unless it is acknowledged already."""
        task_ready(self)
        if not self.acknowledged:
            self.reject(requeue=False)


def _raised(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()

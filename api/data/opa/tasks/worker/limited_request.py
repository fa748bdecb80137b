"""A task with limits in the hands of a worker: its process ends what the process of the task could not."""

from __future__ import annotations

from typing import Any, cast

from celery.exceptions import Ignore, Reject, WorkerLostError

from opa.tasks.headers import LOCK
from opa.tasks.limits.messages import raw_message
from opa.tasks.worker.request import Request

RAW = "limited_message"
"""What the process of the task is given besides: the message, to send it on where the task has to wait."""


class Waiting(Ignore):
    """The task does not run now: its message is sent on, or another copy of it runs or has run.

    Args:
        task: its name.
        has_copy: whether another copy of its message tells what becomes of it.
    """

    def __init__(self, task: str, has_copy: bool) -> None:
        super().__init__(task, has_copy)
        self.has_copy = has_copy


class LimitedRequest(Request):
    """Tells redis of each end that the process of the task does not live to tell."""

    request_dict: dict[str, Any]

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        self.request_dict[RAW] = raw_message(message)

    @property
    def run(self) -> str:
        """This try of the task, as redis knows it."""
        return f"{self.id}:{self.request_dict.get('retries') or 0}"

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Called when the task has had its time."""
        try:
            return super().on_timeout(soft, timeout)
        finally:
            if not soft:
                self._tell(has_ended=True)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Called when the task raised, or its process was lost."""
        error = exc_info.exception
        error = getattr(error, "exc", error)
        try:
            return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        finally:
            if isinstance(error, WorkerLostError):
                goes_back = self.task.acks_late and self.task.reject_on_worker_lost
                self._tell(has_ended=not goes_back)
            elif isinstance(error, Reject):
                self._tell(has_ended=not cast("Any", error).requeue, is_dead=True)

    def tell_failure(self, error: BaseException, failure: dict[str, Any]) -> None:
        """Tell observers what the process of the task could not."""
        if not isinstance(error, Waiting):
            super().tell_failure(error, failure)
        elif error.has_copy:
            self.is_told = True
        else:
            self.tell("given_back", reason="it waits for its turn")

    def tell_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Called for a task that is not to run, or not any more."""
        try:
            super().tell_revoked(reason, terminated, signum, expired)
        finally:
            self._tell(has_ended=True)

    def give_up(self) -> None:
        """Called when it goes to the dead letters."""
        super().give_up()
        self._tell(has_ended=True, is_dead=True)

    def _tell(self, *, has_ended: bool, is_dead: bool = False) -> None:
        lock = self.request_dict.get(LOCK)
        keeper = cast("Any", self.task.app).limit_keeper
        if keeper is not None:
            keeper.ended(
                self.run, str(self.id), lock if isinstance(lock, str) else "", has_ended=has_ended, is_dead=is_dead
            )

"""How a worker tries again where its broker is gone, or answers and cannot do its work: with pauses, and few lines."""

from __future__ import annotations

import logging
import time

from celery.worker.consumer.consumer import CONNECTION_RETRY  # type: ignore[attr-defined]  # celery-types lacks it
from celery.worker.state import maybe_shutdown
from redis.exceptions import BusyLoadingError, ResponseError

from opa._util.masking.secrets import mask_text
from opa.logging.logger import log

MIN_RETRY_DELAY = 0.2
MAX_RETRY_DELAY = 5.0
"""Seconds between two tries to reach the broker; Celery's grow to 30, or are none where it answers with an error."""
STABLE_AFTER = 2.0
"""Seconds that a worker has to take tasks before its trouble is over: some errors come with the first command."""
REMINDER_INTERVAL = 300.0
"""Seconds after which the same trouble is said again."""

NO_RIGHTS = "has no permissions"
"""In what redis says, also of a command in a script."""
RIGHTS = "; docs/reliability.md has the rights of a user that a worker needs"

NOISY = tuple(f"celery.worker.consumer.{name}" for name in ("connection", "consumer", "mingle", "tasks"))
"""The loggers that have lines for each connect."""
CLOSING = "celery.bootsteps"
"""The logger of what fails while a lost connection is closed: Celery reaches for one that is None by then."""
EVENT_LOOP = "celery.worker.loops"
"""The logger of what fails while the event loop is reset: it reads once more from the connection that was lost."""


class Reconnects:
    """The tries of one worker, from the first error until it takes tasks again."""

    def __init__(self, foreseen: tuple[type[Exception], ...] = ()) -> None:
        """Make one; `foreseen` are the errors of a connection, which Celery is not to log as errors of its own."""
        self._foreseen = foreseen
        self._began: float | None = None
        self._pause = 0.0
        self._tries = 0
        self._said: dict[str, float] = {}
        for name in (*NOISY, CLOSING, EVENT_LOOP):
            logging.getLogger(name).addFilter(self._lets_through)

    def failed(self, error: BaseException, what: str = "", *, is_foreseen: bool = True) -> None:
        """Note an error, which is said where it is a new one; `what` is what it is an error of."""
        now = time.monotonic()
        self._began = self._began or now
        self._tries += 1
        said = f"{type(error).__name__}: {mask_text(str(error))}"
        if self._said.get(said, -REMINDER_INTERVAL) + REMINDER_INTERVAL > now:
            return
        self._said[said] = now
        if not is_foreseen:
            log.opt(exception=error).error(f"an unexpected error; the worker reconnects: {said}")
        elif isinstance(error, (ResponseError, BusyLoadingError)):
            rights = RIGHTS if NO_RIGHTS in said else ""
            log.warning(
                f"the broker answers, and does not do its work; the worker tries again until it does ({said}){rights}"
            )
        else:
            log.warning(f"{what or 'Connection to broker lost'} ({said}). Trying again until it is there")

    def wait(self) -> None:
        """Called before each connect but the first: there is a pause, a longer one each time.

        Raises:
            celery.exceptions.WorkerShutdown: the worker is to stop.
        """
        if self._began is None:
            return
        end = time.monotonic() + self._pause
        self._pause = min(max(2 * self._pause, MIN_RETRY_DELAY), MAX_RETRY_DELAY)
        while (left := end - time.monotonic()) > 0:
            maybe_shutdown()
            time.sleep(min(left, 0.2))
        maybe_shutdown()

    def is_over(self) -> None:
        """Called when the worker has taken tasks for a while."""
        if self._began is not None:
            log.info(f"the worker takes tasks again, after {time.monotonic() - self._began:.0f} s")
        self._began, self._pause, self._tries = None, 0.0, 0
        self._said.clear()

    def _lets_through(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_of_loop = record.name == EVENT_LOOP and isinstance(error, self._foreseen)  # it comes before `failed`
        is_of_close = record.name == CLOSING and record.levelno >= logging.ERROR and self._began is not None
        if is_of_loop or is_of_close:
            log.debug("While the lost connection is closed: {}", record.getMessage())
            return False
        if self._began is None or record.levelno > logging.WARNING:
            return True
        # It has not the text of an error of redis. What comes with each further try is said once.
        return self._tries == 1 and CONNECTION_RETRY not in (record.args or ())

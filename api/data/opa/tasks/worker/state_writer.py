"""The states of tasks that a worker stores beside its children, such as that one was revoked: in a thread.

The server of results may be slow or gone. The process that has the connection to the broker must not wait for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from opa.logging.logger import log

MAX_WAITING = 10_000
"""States that wait to be stored; what comes beyond is not."""
OF_SERVER = (RedisError, OperationalError, OSError)
"""Errors that the next state would meet as well."""


class _State(NamedTuple):
    what: str
    store: Callable[[], object]


class StateWriter:
    """Stores one state after another, in a thread that is there while any waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_State] = deque()
        self._thread: threading.Thread | None = None
        self._is_full = False

    @property
    def is_here(self) -> bool:
        """Whether this is its thread."""
        return threading.current_thread() is self._thread

    def add(self, what: str, store: Callable[[], object], *, backend: Any = None) -> None:
        """Have a state stored; where the server fails then, those that wait for it are not.

        Args:
            what: it says, for the line of the log where it cannot be stored: "that task … was revoked".
            store: is called in the thread.
            backend: by which it is stored.
        """
        # Its client is made under a lock. A child that is forked meanwhile would wait for that lock for ever.
        getattr(backend, "client", None)
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                is_new, self._is_full = not self._is_full, True
                if is_new:
                    log.warning(f"{what} is not stored, nor is what comes: {MAX_WAITING} other states wait for that")
                return
            self._is_full = False
            self._waiting.append(_State(what, store))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="task-states", daemon=True)
                self._thread.start()

    def finish(self, timeout: float) -> None:
        """Wait until all are stored, for so many seconds at most."""
        if thread := self._thread:
            thread.join(timeout)

    def _run(self) -> None:
        while state := self._next():
            try:
                state.store()
            except Exception as error:  # noqa: BLE001 - one that cannot be stored keeps no other from it
                dropped = self._drop_all() if isinstance(error, OF_SERVER) else 0
                more = f", nor can {dropped} other states of tasks" if dropped else ""
                log.warning(f"{state.what} cannot be stored{more} ({type(error).__name__})")

    def _next(self) -> _State | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            return None

    def _drop_all(self) -> int:
        with self._lock:
            number = len(self._waiting)
            self._waiting.clear()
            return number

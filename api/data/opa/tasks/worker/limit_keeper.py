"""What a worker does beside its limited tasks, in a thread: renews what they hold, and calls those that wait."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import Any

from celery.worker import state
from redis.exceptions import RedisError

from opa.logging.logger import log
from opa.tasks.limits.store import Hold
from opa.tasks.worker.limited_request import LimitedRequest
from opa.tasks.worker.limited_tasks import call

INTERVAL = 2.0
"""Seconds between two signs of life."""
PAUSE = 0.5
"""Seconds until the next one where redis has not answered: it may start just then, and gives places after 5 seconds."""
SHARE = 0.75
"""Of that time, in which one worker of all looks whose turn has come."""
SHUTDOWN_MARGIN = 3.0
"""Seconds that a worker which ends waits until redis knows what has ended."""
MOST_WAITING = 10_000
"""Ends of tasks that wait to be told; of what comes beyond, redis learns by itself."""


class LimitKeeper:
    """Belongs to a worker, and not to its children.

    Args:
        app: whose tasks have limits.
        hostname: the worker's.
    """

    def __init__(self, app: Any, hostname: str) -> None:
        self._app = app
        self._holder = f"{hostname}|"
        self._known: dict[str, Hold | None] = {}
        self._ended: deque[partial[Any]] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()
        self._is_over = False
        self._is_told = False
        self._thread = threading.Thread(target=self._work, name="task-limits", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ended(self, run: str, task_id: str, lock: str, *, has_ended: bool, is_dead: bool) -> None:
        """Note, without waiting, that a run has ended whose process could not say so.

        Args:
            run: one try of a task.
            task_id: of the task.
            lock: the text that it holds, as its message says; empty where it does not say.
            has_ended: whether no other try follows.
            is_dead: whether its message is among the dead letters then, and may be sent again.
        """
        is_done = not is_dead if has_ended else None
        leave = partial(
            self._app.limit_store.leave,
            run,
            self._holder,
            task_id=task_id,
            is_done=is_done,
            has_ended=has_ended,
            lock=lock,
        )
        with self._changed:
            self._ended.append(leave)
            self._changed.notify()

    def finish(self) -> None:
        """Say what there is to say, and end."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(SHUTDOWN_MARGIN)

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._is_told:
                    self._changed.wait_for(lambda: self._is_over, PAUSE)
                else:
                    self._changed.wait_for(lambda: self._ended or self._is_over, INTERVAL)
                is_over = self._is_over
            try:
                self._tell_ends()
                if is_over:
                    return
                self._renew()
                self._sweep()
            except RedisError as error:
                if not self._is_told:
                    log.warning(f"limits of tasks: redis does not answer ({error!r}); running tasks go on")
                self._is_told = True
                if is_over:
                    return
            except Exception as error:  # noqa: BLE001 - the next round may do better, and without it places are lost
                log.opt(exception=error).error("limits of tasks cannot be kept")
            else:
                self._is_told = False

    def _tell_ends(self) -> None:
        while self._ended:
            call(self._app, self._ended[0]())
            self._ended.popleft()

    def _renew(self) -> None:
        running = {request.run for request in _active() if isinstance(request, LimitedRequest)}
        self._known = {run: self._known.get(run) for run in running}
        found = self._app.limit_store.renew(self._holder, self._known.items())
        self._known.update({run: hold for run, hold in found.items() if hold.holder})

    def _sweep(self) -> None:
        cursor = "0"
        while True:
            cursor, called = self._app.limit_store.sweep(cursor, INTERVAL * SHARE)
            call(self._app, called)
            if cursor == "0":
                return


def _active() -> list[Any]:
    """The tasks that run; the main thread changes the set meanwhile."""
    while True:
        try:
            return list(state.active_requests)
        except RuntimeError:
            continue

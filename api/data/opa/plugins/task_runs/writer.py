"""Writes what observers take down into redis: in a thread of each process, many runs at a time.

Redis may be away: then it waits, up to a bound, and says so once. Nothing else in the process waits for it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opa import log, tasks_in_hand
from opa.plugins.task_runs.component import COMPONENT
from opa.plugins.task_runs.event import INTERVAL
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.names import RUNNING, WAITING, WORKER_LIFE, prefix_of
from opa.plugins.task_runs.put import BATCH_SIZE, journal_folder, put, write_left
from opa.plugins.task_runs.records import SHORT_BODY, told
from opa.plugins.task_runs.said import Said, compressed, packed
from opa.plugins.task_runs.scripts import BEAT, RECORD
from opa.plugins.task_runs.sweep import sweep
from opa.plugins.task_runs.taken import Taken

if TYPE_CHECKING:
    from opa import PluginManager, TaskRun

LIVE_AFTER = 0.5
"""Seconds that a task runs before it is written that it does, and what it logs."""
HEARTBEAT, SWEEP_INTERVAL = 10.0, 10.0
LOOK_INTERVAL = 2.5
"""Seconds after which a worker looks whether a process of its machine is gone that has not written all."""
MAX_PAUSE = 5.0
LAST_WRITE_LIMIT = 2.0
"""Seconds that a process that ends waits for redis."""


class Writer:
    """The thread of one process."""

    def __init__(self, taken: Taken, manager: PluginManager) -> None:
        self._taken = taken
        self._manager = manager
        self._limits = Limits(manager.config)
        self._folder = journal_folder(manager.config)
        self._component = manager.component_states[COMPONENT]
        self._make_client = self._component.driver.new_thread_client  # type: ignore[union-attr]
        self._client: Any = None
        self._record: Any = None
        self._news = threading.Event()
        self._ends = threading.Event()
        self._pending: list[tuple[str, list[tuple[str, bytes]]]] = []
        self._live: dict[str, float] = {}
        self._beat = self._swept = self._looked = float("-inf")
        self._pause = 0.0
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="task-runs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to write."""
        self._news.set()

    def finish(self) -> bool:
        """Write what there is, and end; whether all is written."""
        self._ends.set()
        self._news.set()
        self._thread.join(LAST_WRITE_LIMIT)
        return not (self._thread.is_alive() or self._pending or self._taken.events)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._taken.has_news = False
            if not self._taken.events and not self._pending:
                self._news.wait(self._idle())
            self._news.clear()
            self._ends.wait(self._pause or INTERVAL)
            self._step()
        self._step()
        if self._taken.is_worker and not self._is_away:
            self._try(lambda: self._client.delete(self._key_of_worker) if self._client else None)

    def _idle(self) -> float | None:
        """Seconds after which there is something to do without news; None for never."""
        if self._taken.running:
            return LIVE_AFTER
        return LOOK_INTERVAL if self._taken.is_worker else None

    @property
    def _key_of_worker(self) -> str:
        return f"{self._limits.prefix}worker:{self._taken.worker}"

    def _step(self) -> None:
        try:
            self._take()
        except Exception as error:  # noqa: BLE001 - what an event holds is any plugin's
            log.opt(exception=error).error("what became of a task cannot be recorded")
        if self._try(self._write):
            self._pause = 0.0
        else:
            self._pause = min(MAX_PAUSE, max(INTERVAL, self._pause * 2))

    def _try(self, write: Any) -> bool:
        import redis  # only where something is to be written

        try:
            write()
        except (redis.RedisError, OSError, ValueError) as error:
            if self._is_not_here(error):
                self._taken.is_off = True
                self._taken.events.clear()
                self._pending.clear()
                self._ends.set()
            elif not self._is_away:
                self._is_away = True
                log.warning("runs of tasks wait to be recorded, since redis does not take them: {!r}", error)
            return False
        if self._is_away:
            self._is_away = False
            lost, self._taken.dropped = self._taken.dropped, 0
            more = f"; {lost} events of them are lost" if lost else ""
            log.info(f"runs of tasks are recorded again{more}")
        return True

    def _is_not_here(self, error: BaseException) -> bool:
        """Whether there is no redis at all: the component is not loaded then either."""
        causes = [error, error.__cause__, error.__context__]
        is_unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        return self._component.load == "auto" and is_unknown and not self._is_away

    def _take(self) -> None:
        """Make records of the events that there are."""
        events, limit = self._taken.events, BATCH_SIZE * 5
        while events and len(self._pending) < limit:
            event = events.popleft()
            self._live.pop(event.id, None)
            if event.sent is not None:
                self._pending.append((told(WAITING, event.sent, self._taken.worker), list(_body_of(event.sent))))
            else:
                self._pending.append((event.text, list(_log_of(event.id, event.tries, event.said, event.traceback))))
        if len(self._pending) < limit:
            self._take_live()

    def _take_live(self) -> None:
        """What runs for longer is written while it runs."""
        now = time.time()
        for task_id, (run, said) in list(self._taken.running.items()):
            if 0 <= now - (run.started_at or now) < LIVE_AFTER:  # it has begun later where the clock was set back
                continue
            if self._live.get(task_id) != run.started_at:
                self._live[task_id] = run.started_at or now
                text = told(RUNNING, run, self._taken.worker)
            elif said.total != said.written:
                text = ""
            else:
                continue
            self._pending.append((text, list(_log_of(task_id, run.tries, said, ""))))

    def _write(self) -> None:
        now = time.monotonic()  # a worker whose clock is set back is not gone
        if self._client is None:
            self._client = self._make_client()
            self._record = self._client.register_script(RECORD)
        if self._taken.is_worker and now - self._beat >= HEARTBEAT:
            beat = [self._limits.prefix, self._taken.worker, socket.gethostname(), WORKER_LIFE, *tasks_in_hand()]
            self._client.register_script(BEAT)(keys=[], args=beat)
            self._beat = now
        while self._pending:
            part = self._pending[:BATCH_SIZE]
            texts = [text for text, _ in part if text]
            put(self._record, self._limits, texts, [blob for _, blobs in part for blob in blobs])
            del self._pending[: len(part)]
            self._take()
        self._taken.journal.clear(self._taken.events)
        if self._taken.is_worker and now - self._looked >= LOOK_INTERVAL:
            self._looked = now
            write_left(self._record, self._limits, self._folder, self._taken.journal.path)
        if self._taken.is_worker and now - self._swept >= SWEEP_INTERVAL:
            self._swept = now
            if self._client.set(f"{self._limits.prefix}sweep", self._taken.worker, nx=True, ex=int(SWEEP_INTERVAL)):
                sweep(self._client, self._manager, self._limits)


def _log_of(task_id: str, tries: int, said: Said | None, traceback: str) -> Iterator[tuple[str, bytes]]:
    if said is not None and (said.total != said.written or traceback):
        total = said.total
        yield f"log:{task_id}:{tries}", said.packed(traceback)
        said.written = total
    elif said is None and traceback:
        yield f"log:{task_id}:{tries}", packed("", traceback, 0)


def _body_of(run: TaskRun) -> Iterator[tuple[str, bytes]]:
    if run.body is not None and len(run.body) > SHORT_BODY and not run.may_be_secret:
        yield f"body:{run.id}", compressed(run.body)


def cancelled(manager: PluginManager) -> list[str]:
    """The ids of the tasks that are not to run; none where redis does not answer, for which no worker waits."""
    import redis  # a worker alone asks

    from opa.redis_clients import text_of

    driver: Any = manager.component_states[COMPONENT].driver
    if not hasattr(driver, "new_thread_client"):
        return []
    client = driver.new_thread_client()
    try:
        return [text_of(each) for each in client.zrange(f"{prefix_of(manager.config)}cancelled", 0, -1)]
    except (redis.RedisError, OSError) as error:
        log.debug("Which tasks were cancelled is not known: {!r}", error)
        return []
    finally:
        client.close()

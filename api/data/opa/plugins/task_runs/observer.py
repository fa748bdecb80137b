"""What is told of tasks is taken down here, in the task's path: it costs next to nothing, and waits for nothing."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opa import TaskObserver, TaskRun, at_fork, get_plugin_manager, log
from opa.plugins.task_runs.event import INTERVAL, Event
from opa.plugins.task_runs.journal import Journal, journals_of
from opa.plugins.task_runs.names import DEAD, FAILED, GIVEN_BACK, RETRYING, REVOKED, SUCCEEDED
from opa.plugins.task_runs.records import error_line, told
from opa.plugins.task_runs.said import Said
from opa.plugins.task_runs.taken import Taken

if TYPE_CHECKING:
    from opa.plugins.task_runs.writer import Writer

MOST_WAITING = 20_000
"""Events that wait to be written; what comes beyond is not recorded."""


LONGEST_BODY = 16_384
"""Characters of arguments that are kept, so that the task can be sent again."""
LONGEST_ID = 1000
"""Characters of an id. Who sends a message makes it up, and it stands in each index: what is longer is not recorded."""


class RunObserver(TaskObserver):
    """Takes down what a process is told, for its `Writer`."""

    def __init__(self) -> None:
        # Of this process and of those that it forks: of a worker with its children.
        self._worker = secrets.token_hex(6)
        self.begin()
        at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """Begin with nothing; a new process leaves to the one that has forked it what that has taken down."""
        self._taken = Taken(self._worker, Journal(lambda: journals_of(get_plugin_manager().config)))
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    def sent(self, run: TaskRun) -> None:
        """The broker has it."""
        if run.body is not None and len(run.body) > LONGEST_BODY:
            run = run.changed(body=None)
        self._add(Event(run.id, run.tries, sent=run))

    def worker_ready(self) -> None:
        """A worker begins to take tasks: its heart beats from now on."""
        self._taken.is_worker = True
        self._wake()

    def started(self, run: TaskRun) -> None:
        """It is written only if it runs for a while."""
        if len(run.id) <= LONGEST_ID:
            self._taken.running[run.id] = (run, Said())
        if not self._taken.has_news:
            self._wake()

    def logged(self, run: TaskRun, line: str) -> None:
        """A line of its log."""
        if (found := self._taken.running.get(run.id)) is not None:
            found[1].add(line)

    def retried(self, run: TaskRun) -> None:
        """This try has ended."""
        self._end(RETRYING, run)

    def given_back(self, run: TaskRun) -> None:
        """Another worker gets it."""
        self._end(GIVEN_BACK, run)

    def succeeded(self, run: TaskRun) -> None:
        """It has ended."""
        if run.result is not None:
            shown = run.shown_result  # now: it may be large, and change
            run = run.changed(result=shown)
        self._end(SUCCEEDED, run)

    def failed(self, run: TaskRun) -> None:
        """It has ended with an error."""
        self._end(FAILED, run)

    def revoked(self, run: TaskRun) -> None:
        """It does not run, or not to its end."""
        self._end(REVOKED, run)

    def dead(self, run: TaskRun) -> None:
        """It is a dead letter."""
        self._end(DEAD, run)

    async def state(self, task_id: str) -> str | None:
        """What is known of a task whose result has no state."""
        from opa import ComponentUnavailableError
        from opa.plugins.task_runs.reader import UNKNOWN, reader_of

        try:
            reader = reader_of(get_plugin_manager())
            state = await reader.celery_state(task_id)
            if state == UNKNOWN:  # it may have been sent a moment ago, by any process
                await asyncio.sleep(2 * INTERVAL)
                state = await reader.celery_state(task_id)
            return state
        except ComponentUnavailableError:
            return None

    def cancelled(self) -> Iterable[str]:
        """Those that `opa tasks cancel` has named."""
        from opa.plugins.task_runs.writer import cancelled

        return cancelled(get_plugin_manager())

    def stop(self) -> None:
        """Write what waits."""
        writer = self._writer
        if writer is not None:
            is_written = writer.finish()
            self._writer, self._taken.has_news = None, False  # what comes then has another one
            # What is not written, another process of this machine writes.
            self._taken.journal.close(is_written=is_written)

    def _end(self, state: str, run: TaskRun) -> None:
        taken = self._taken
        found = taken.running.pop(run.id, None)
        said = None if found is None or not found[1].total else found[1]
        if found is not None and run.started_at is None:
            run = run.changed(started_at=found[0].started_at)
        # While the frames of the error are there: they are not kept, nor is what it holds.
        traceback = "" if run.error is None else run.traceback
        text = told(state, run, taken.worker, error_line(traceback))
        event = Event(run.id, run.tries, text, said=said, traceback=traceback)
        if self._add(event):
            # Its message is not acknowledged yet, and the process may be killed in the next moment.
            taken.journal.add(event)

    def _add(self, event: Event) -> bool:
        """Take it down; whether it is."""
        if self._taken.is_off:
            return False
        if len(event.id) > LONGEST_ID:
            log.warning("the run of a task whose id has {} characters is not recorded", len(event.id))
            return False
        if len(self._taken.events) >= MOST_WAITING:
            self._taken.dropped += 1
            return False
        self._taken.events.append(event)
        if not self._taken.has_news:
            self._wake()
        return True

    def _wake(self) -> None:
        self._taken.has_news = True
        if self._taken.is_off:
            return
        with self._lock:
            if self._writer is None:
                self._writer = self._new_writer()
        if self._writer is not None:
            self._writer.wake()

    def _new_writer(self) -> Writer | None:
        from opa.plugins.task_runs.writer import Writer

        try:
            return Writer(self._taken, get_plugin_manager())
        except (AttributeError, KeyError) as error:
            self._taken.is_off = True
            log.warning(
                "runs of tasks are not recorded: the component aioredis has a driver that cannot do it ({})", error
            )
            return None

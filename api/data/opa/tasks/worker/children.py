"""The processes that a worker forks: each connects components of its own, and tells the worker whether it could."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

from celery.worker.state import maybe_shutdown

from opa.core.manager import get_plugin_manager
from opa.errors import LifecycleError, OpaError
from opa.logging.logger import log
from opa.process.shared_flag import SharedFlag
from opa.process.start_failures import MAX_LINE_BYTES, StartFailures
from opa.tasks.worker.loop import start_process_loop, stop_process_loop

POLL_INTERVAL = 0.1


class Children:
    """Made before the fork; the children call `start` and `stop`, the worker the rest."""

    def __init__(self) -> None:
        self._worker = os.getpid()
        self._failures = StartFailures()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._skipped = Messages()
        self._stops = SharedFlag()

    def start(self, **_: object) -> None:
        """Connect the components and run the setups; where that fails the worker stops, and says why."""
        try:
            if not start_process_loop(get_plugin_manager(), self._is_told_to_stop):
                raise SystemExit(0)
        except Exception as error:  # Celery would log it, and go on without components
            self._failures.note(reason(error))
            os.kill(self._worker, signal.SIGTERM)
            # The worker says why; an exit status would make Celery say that a child is gone, too.
            raise SystemExit(0) from error
        for name, broken in get_plugin_manager().roster.skipped.items():
            self._skipped.write(f"{name}\t{broken}")
        try:
            os.write(self._writer, b"u")
        except BlockingIOError:
            return  # the worker reads this only in the beginning, and has enough of it

    def stop(self, **_: object) -> None:
        """Disconnect the components."""
        stop_process_loop()

    def tell_to_stop(self) -> None:
        """Tell those that are still starting that the worker stops."""
        self._stops.set()

    def _is_told_to_stop(self) -> bool:
        return self._stops.is_set() or os.getppid() != self._worker

    def wait_until_up(self, count: int, all_are_alive: Callable[[], bool]) -> None:
        """Wait in the worker until `count` children have connected their components, or one has ended.

        Raises:
            WorkerShutdown: the worker is told to stop.
        """
        while count > 0:
            alive = all_are_alive()
            maybe_shutdown()
            if not alive:
                return  # for an unknown reason; Celery starts another one
            readable, _, _ = select.select([self._reader], [], [], POLL_INTERVAL)
            if readable:
                count -= len(os.read(self._reader, count))

    def skip_what_they_skipped(self) -> None:
        """Skip in the worker the plugins that a child has skipped: it has no tasks of theirs."""
        manager = get_plugin_manager()
        for name, problem in (line.partition("\t")[::2] for line in self._skipped.read()):
            if name in manager.roster:
                manager.skip(name, LifecycleError(problem, plugin=name))

    def failure(self) -> str | None:
        """Why a child could not start; None where all could."""
        return self._failures.first()


class Messages:
    """A pipe for short lines, made before the fork."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def write(self, line: str) -> None:
        """Write a line, in one piece; where it has not been read for long, it is dropped."""
        try:
            os.write(self._writer, line.replace("\n", " ").encode()[: MAX_LINE_BYTES - 1] + b"\n")
        except BlockingIOError:
            return

    def read(self) -> list[str]:
        """All lines that are there."""
        told = b""
        try:
            while part := os.read(self._reader, MAX_LINE_BYTES):
                told += part
        except BlockingIOError:
            pass
        return told.decode(errors="replace").splitlines()


def reason(error: Exception) -> str:
    """What a failed start is logged as; an unexpected one is logged with its stack trace, too."""
    if isinstance(error, OpaError):
        return str(error)
    log.opt(exception=error).error("the process cannot be started")
    return f"the process cannot be started: {type(error).__name__}: {error}"

"""The life of this in a process: from `startup` on its numbers are there for the others."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from opa import log
from opa.plugins.core_metrics import project
from opa.plugins.core_metrics.component_metrics import ANSWER_LIMIT, Pools
from opa.plugins.core_metrics.exposition import Format, as_text, families, format_for
from opa.plugins.core_metrics.queues import Queues
from opa.plugins.core_metrics.reading import Reader, Total
from opa.plugins.core_metrics.state import cells, metrics
from opa.plugins.core_metrics.vitals import Vitals

FOLDER_VARIABLE = "METRICS_FOLDER"


class Service:
    """That of this process.

    Attributes:
        vitals: how the process is.
        task: notes that, where there is an event loop.
    """

    def __init__(self) -> None:
        self.vitals = Vitals()
        self.pid = os.getpid()
        self.task: asyncio.Task[None] | None = None
        self._folder = _attached()
        self._reader = Reader(cells, self._folder)
        self._queues = Queues()
        self._pools = Pools()
        self._has_told = self._folder is not None and not cells.name
        self._last: asyncio.Task[bytes] | None = None
        self._next: dict[str, asyncio.Task[bytes]] = {}

    async def answer(self, accept: str) -> tuple[bytes, str]:
        """What `/metrics` answers, and its content type.

        One is read after the other, and those who ask meanwhile are answered together with what is read then.

        Raises:
            BusyError: another process reads for too long.
            OSError: the files cannot be read.
        """
        wanted = format_for(accept)  # whoever asks in another way for the same reads nothing anew
        task = self._next.get(wanted.content_type)
        if task is None:
            task = asyncio.create_task(self._answer_after(self._last, wanted))
            self._last = self._next[wanted.content_type] = task
        return await asyncio.shield(task), wanted.content_type

    async def _answer_after(self, previous: asyncio.Task[Any] | None, wanted: Format) -> bytes:
        if previous is not None:
            await asyncio.wait([previous])
        del self._next[wanted.content_type]
        # Of its own, since the pool of the event loop may be full of what looks up names.
        with ThreadPoolExecutor(1, thread_name_prefix="metrics") as thread:
            return await asyncio.get_running_loop().run_in_executor(thread, self._read, wanted)

    def _read(self, wanted: Format) -> bytes:
        self.note(wait=ANSWER_LIMIT)
        total = self._reader.total()
        found = [*families(total), *project.facts(), *self._queues.metrics(), *metrics.of_this_process()]
        return as_text(found, wanted.encoder)

    async def total(self) -> Total:
        """What all processes of the service have counted.

        Raises:
            BusyError: another process reads for too long.
            OSError: the files cannot be read.
        """
        # With what it remembers for itself: `answer` reads in a thread of its own.
        return await asyncio.to_thread(Reader(cells, self._folder).total)

    def note(self, *, wait: float = 0) -> None:
        """Note what only this process knows; what may take a moment is noted within the next second.

        Args:
            wait: seconds to wait for that, in a thread that may.
        """
        self._restore()
        self.vitals.note()
        project.note_states()
        self._pools.note(wait)

    def _restore(self) -> None:
        had_room = bool(cells.name)
        try:
            was_removed = cells.restore()
            if cells.name and not had_room:
                log.info(f"what process {os.getpid()} counts is in the metrics of all: there is room now")
            if was_removed:
                log.warning(
                    f"the files of the metrics were removed, and are written anew in {self._folder}: they lack what"
                    " processes had counted that have ended"
                )
        except OSError as error:
            if not self._has_told:
                _warn(f"{error.strerror}: {self._folder}")
            self._has_told = True

    async def keep_noting(self) -> None:
        """Do so once a second."""
        async for _ in self.vitals.ticks():
            self.note()


def service() -> Service:
    """That of this process, which is made when it is asked for."""
    kept: dict[str, Any] = project.kept()
    found: Service | None = kept.get(__name__)
    if found is None or found.pid != os.getpid():
        found = kept[__name__] = Service()
    return found


def _attached() -> Path | None:
    """The folder in which the numbers are, as soon as there is room; None where this process stands alone."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    try:
        cells.attach(folder, _warn)
        Reader(cells, folder).fold()
    except OSError as error:
        _warn(f"{error.strerror}: {folder}")
    return folder


def _warn(why: str) -> None:
    log.warning(f"not all that process {os.getpid()} counts is in the metrics: {why}")


async def startup() -> None:
    """Begin."""
    found = service()
    project.count_hooks()
    found.note()
    found.task = asyncio.create_task(found.keep_noting())


async def shutdown() -> None:
    """Note the last, which stays when this process has ended."""
    found = service()
    if found.task is not None:
        found.task.cancel()
    found.note()

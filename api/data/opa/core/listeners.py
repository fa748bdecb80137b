"""Calls functions of plugins that want to know of something, beside the work of the process.

None of them disturbs it: they are called in threads of their own, each within a time limit. One that raises, or takes
longer, has a line of the log; one that still hangs is not called meanwhile.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from queue import Empty, Full, SimpleQueue
from typing import Any

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.core.running import get_plugins
from opa.errors import NotRunningError
from opa.logging.logger import log

TIME_LIMIT = 10.0
"""Seconds that a function may take."""
LINE_INTERVAL = 60.0
"""Seconds in which a function that fails has one line of the log."""
MOST_WAITING = 10_000
"""What is to be told; more than that is not, and the log says so."""

Loop = Callable[[], asyncio.AbstractEventLoop | None]


class Listeners:
    """Those of one process, which tells them of one thing after another.

    Args:
        loop: gives the event loop that has the components of the process; where it gives none, an `async def` has a
            loop of its own.
        time_limit: seconds that a function may take.
    """

    def __init__(self, loop: Loop = lambda: None, time_limit: float = TIME_LIMIT) -> None:
        self._loop, self._time_limit = loop, time_limit
        self._waiting: SimpleQueue[tuple[str, Any, Callable[[], None] | None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy: dict[str, threading.Thread] = {}
        self._lines: dict[str, float] = {}
        self._open = 0
        self._idle = threading.Condition(self._lock)

    def tell(self, group: str, event: Any, done: Callable[[], None] | None = None) -> None:
        """Have the members of `group` called with `event`, and `done` after them; it waits for nothing.

        Args:
            done: called whatever came of the members.
        """
        try:
            with self._lock:
                if self._open >= MOST_WAITING:
                    raise Full
                self._open += 1
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=f"opa-{group}", daemon=True)
                    self._thread.start()
            self._waiting.put((group, event, done))
        except Full:
            self._say(group, f"{group}: {MOST_WAITING} wait to be told already, so that some are not")

    def wait_until_told(self, seconds: float) -> bool:
        """Wait until all is told, at most so long; false where it is not."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, seconds)

    def _work(self) -> None:
        while True:
            try:
                group, event, done = self._waiting.get(timeout=LINE_INTERVAL)
            except Empty:
                with self._lock:
                    if self._open == 0:
                        self._thread = None
                        return
                continue
            try:
                self._tell_each(group, event)
                if done is not None:
                    done()
            except Exception as error:  # noqa: BLE001 - the next ones are told all the same
                self._say(group, f"{group}: {_text(error)}")
            finally:
                with self._idle:
                    self._open -= 1
                    self._idle.notify_all()

    def _tell_each(self, group: str, event: Any) -> None:
        try:
            members = get_plugins(group)
        except NotRunningError:
            return
        for uri, member in members.items():
            busy = self._busy.get(uri)
            if busy is not None and busy.is_alive():
                self._say(uri, f"{group}: '{uri}' hangs still, and is not called")
                continue
            self._call(group, uri, member, event)

    def _call(self, group: str, uri: str, member: Callable[[Any], Any], event: Any) -> None:
        failure: list[BaseException] = []

        def call() -> None:
            try:
                result = member(event)
                if inspect.isawaitable(result):
                    self._await(result)
            except BaseException as error:  # noqa: BLE001 - a SystemExit ends nothing here
                failure.append(error)

        thread = threading.Thread(target=call, name=f"opa-{uri}", daemon=True)
        thread.start()
        thread.join(self._time_limit)
        if thread.is_alive():
            self._busy[uri] = thread
            self._say(uri, f"{group}: '{uri}' has not ended within {self._time_limit:g} s")
        elif failure:
            self._say(uri, f"{group}: '{uri}' failed: {_text(failure[0])}")

    def _await(self, awaitable: Any) -> None:
        async def within_limit() -> None:
            async with asyncio.timeout(self._time_limit * 0.9):
                await awaitable

        loop = self._loop()
        if loop is None or not loop.is_running():
            asyncio.run(within_limit())
        else:
            asyncio.run_coroutine_threadsafe(within_limit(), loop).result()

    def _say(self, what: str, line: str) -> None:
        now = time.monotonic()
        if now - self._lines.get(what, -LINE_INTERVAL) >= LINE_INTERVAL:
            self._lines[what] = now
            log.warning(line)


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it has not ended in time"
    return in_one_line(mask_text(f"{type(error).__name__}: {error}"))

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
from queue import Empty, SimpleQueue
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
"""What a member is yet to be told; more than that it is not, and the log says so."""

Loop = Callable[[], asyncio.AbstractEventLoop | None]


class _Told:
    """One thing, of which several members are told."""

    def __init__(self, group: str, event: Any, members: int, done: Callable[[], None] | None) -> None:
        self.group, self.event = group, event
        self._left, self._done, self._lock = members, done, threading.Lock()

    def settle(self) -> None:
        """One member more is told; what is to be done after the last one is done in its thread."""
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last and self._done is not None:
            self._done()


class _Queue:
    """What a member is yet to be told, and the thread that does so, while there is something."""

    def __init__(self) -> None:
        self.waiting: SimpleQueue[_Told] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.busy: threading.Thread | None = None


class Listeners:
    """Those of one process. Each member is told of one thing after another, and waits for no other member.

    Args:
        loop: gives the event loop that has the components of the process; where it gives none, an `async def` has a
            loop of its own.
        time_limit: seconds that a function may take.
    """

    def __init__(self, loop: Loop = lambda: None, time_limit: float = TIME_LIMIT) -> None:
        self._loop, self._time_limit = loop, time_limit
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._lines: dict[str, float] = {}
        self._open = 0
        self._idle = threading.Condition()

    def tell(self, group: str, event: Any, done: Callable[[], None] | None = None) -> None:
        """Have the members of `group` called with `event`, and `done` after them; it waits for nothing.

        Args:
            done: called whatever came of the members.
        """
        try:
            members = get_plugins(group)
        except NotRunningError:
            members = {}
        told = _Told(group, event, max(1, len(members)), done)
        if not members:
            self._settle(told)
        for uri, member in members.items():
            self._put(uri, member, told)

    def wait_until_told(self, seconds: float) -> bool:
        """Wait until all is told, at most so long; false where it is not."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, seconds)

    def _put(self, uri: str, member: Callable[[Any], Any], told: _Told) -> None:
        with self._idle:
            queue = self._queues.setdefault((told.group, uri), _Queue())
            is_full = queue.waiting.qsize() >= MOST_WAITING
            if not is_full:
                self._open += 1
                queue.waiting.put(told)
                if queue.thread is None:
                    queue.thread = threading.Thread(
                        target=self._work, args=(uri, member, queue), name=f"opa-{told.group}", daemon=True
                    )
                    queue.thread.start()
        if is_full:
            self._say(uri, f"{told.group}: {MOST_WAITING} wait to be told to '{uri}' already, so that some are not")
            self._settle(told)

    def _work(self, uri: str, member: Callable[[Any], Any], queue: _Queue) -> None:
        while True:
            try:
                told = queue.waiting.get(timeout=LINE_INTERVAL)
            except Empty:
                with self._idle:
                    if queue.waiting.empty():
                        queue.thread = None
                        return
                continue
            try:
                if queue.busy is not None and queue.busy.is_alive():
                    self._say(uri, f"{told.group}: '{uri}' hangs still, and is not called")
                else:
                    queue.busy = self._call(uri, member, told)
            except Exception as error:  # noqa: BLE001 - there may be no thread left; the next ones are told all the same
                self._say(uri, f"{told.group}: '{uri}' is not called: {_text(error)}")
            self._settle(told)
            with self._idle:
                self._open -= 1
                self._idle.notify_all()

    def _settle(self, told: _Told) -> None:
        try:
            told.settle()
        except Exception as error:  # noqa: BLE001 - of who tells; it concerns no member
            self._say(told.group, f"{told.group}: {_text(error)}")

    def _call(self, uri: str, member: Callable[[Any], Any], told: _Told) -> threading.Thread | None:
        """Call a member, and give the thread that hangs, if it does."""
        failure: list[BaseException] = []

        def call() -> None:
            try:
                result = member(told.event)
                if inspect.isawaitable(result):
                    self._await(result)
            except BaseException as error:  # noqa: BLE001 - a SystemExit ends nothing here
                failure.append(error)

        thread = threading.Thread(target=call, name=f"opa-{uri}", daemon=True)
        thread.start()
        thread.join(self._time_limit)
        if thread.is_alive():
            self._say(uri, f"{told.group}: '{uri}' has not ended within {self._time_limit:g} s")
            return thread
        if failure:
            self._say(uri, f"{told.group}: '{uri}' failed: {_text(failure[0])}")
        return None

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

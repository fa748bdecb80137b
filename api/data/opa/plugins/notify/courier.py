"""The thread of a process that collects failures, and sends the messages that are due."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from fnmatch import fnmatchcase
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from opa import log
from opa.plugins.notify.message import as_json, as_slack, as_teams, message_of
from opa.plugins.notify.notice import Notice
from opa.plugins.notify.store import PAUSES, LocalStore, RedisStore, Store, Taken
from opa.plugins.notify.webhook import NotDeliveredError, post

if TYPE_CHECKING:
    from opa import PluginManager

COMPONENT = "aioredis"
"""The component in whose redis failures are collected."""
GATHER_SECONDS = 0.2
"""Seconds in which failures of this process are put together before they go to redis."""
POLL_INTERVAL = 5.0
"""Seconds between two looks at what other processes have collected."""
IDLE_LIFE = 60.0
"""Seconds without anything to send after which the thread ends, where it need not look after other processes."""
WITHOUT_REDIS = 10.0
"""Seconds for which redis is not asked again that did not answer."""

_FORMS = {"slack": as_slack, "teams": as_teams, "json": as_json}


@dataclass(frozen=True)
class Target:
    """One of NOTIFY.

    Attributes:
        name: its key there.
        options: what stands there.
    """

    name: str
    options: Mapping[str, Any]

    def wants(self, notice: Notice) -> bool:
        """Whether it is told of this."""
        if notice.kind not in self.options["EVENTS"]:
            return False
        names = (notice.task, notice.schedule) if notice.kind == "missed" else (notice.task,)
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.options["TASKS"]) and any(
            fnmatchcase(notice.plugin, pattern) for pattern in self.options["PLUGINS"]
        )

    @property
    def window(self) -> float:
        """Seconds for which failures are collected."""
        return float(self.options["WINDOW"])

    @property
    def limit(self) -> int:
        """Messages in an hour."""
        return int(self.options["LIMIT"])


class Courier:
    """That of one process.

    Args:
        manager: the application.
        targets: all of NOTIFY.
        stays: whether it looks after what other processes have collected for as long as this one runs.
    """

    def __init__(self, manager: PluginManager, targets: list[Target], *, stays: bool) -> None:
        self._manager, self._targets, self.stays = manager, targets, stays
        self._queue: SimpleQueue[tuple[Notice, Future[None]]] = SimpleQueue()
        self._local = {target.name: LocalStore(target.window, target.limit) for target in targets}
        self._shared: dict[str, RedisStore] = {}
        self._client: Any = None
        self._redis_from = 0.0
        self._has_told_of_redis = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._sending: dict[str, asyncio.Task[None]] = {}

    def put(self, notice: Notice) -> Future[None]:
        """Have it collected; the future is done when it is."""
        done: Future[None] = Future()
        self._queue.put((notice, done))
        self.start()
        return done

    def start(self) -> None:
        """Start the thread, or wake it."""
        with self._lock:
            if self._is_stopping:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="opa-notify", daemon=True)
                self._thread.start()
            elif self._loop is not None and self._wake is not None:
                with contextlib.suppress(RuntimeError):  # it ends at this moment, and looks at the queue before
                    self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self, seconds: float) -> None:
        """End the thread: what is collected here goes to redis, or out at once, at most so long."""
        with self._lock:
            self._is_stopping = True
            thread = self._thread
            if thread is not None and self._loop is not None and self._wake is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._wake.set)
        if thread is not None:
            thread.join(seconds)
        if left := sum(store.waiting for store in self._local.values()) + self._queue.qsize():
            log.warning(f"NOTIFY: this process ends before {_failures(left)} {'is' if left == 1 else 'are'} told")

    def _run(self) -> None:
        while True:
            try:
                asyncio.run(self._work())
            except Exception as error:  # noqa: BLE001 - whatever it is, failures that come are told
                log.opt(exception=error).error("NOTIFY: what was to be sent is kept, and sent later")
                time.sleep(POLL_INTERVAL)
            with self._lock:
                if self._is_stopping or self._queue.empty():
                    self._thread = self._loop = self._wake = None
                    return

    async def _work(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._shared, self._client, self._sending = {}, None, {}
        idle_since = time.monotonic()
        try:
            while not self._is_stopping:
                await self._collect()
                wait = await self._send_what_is_due()
                if wait is not None or self._sending:
                    idle_since = time.monotonic()
                elif not self.stays and time.monotonic() - idle_since > IDLE_LIFE:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), min(POLL_INTERVAL, max(0.05, wait or POLL_INTERVAL)))
                    self._wake.clear()
                    if not self._is_stopping:
                        await asyncio.sleep(GATHER_SECONDS)
            await self._end()
        finally:
            if self._client is not None:
                with contextlib.suppress(Exception):
                    await self._client.aclose()

    async def _end(self) -> None:
        await self._collect()
        for store in self._local.values():
            store.hurry()
        await asyncio.gather(*map(self._send_the_last, self._targets))  # one that hangs holds up no other

    async def _send_the_last(self, target: Target) -> None:
        if (sending := self._sending.get(f"local {target.name}")) is not None:
            await asyncio.wait([sending])  # it is not to be sent twice
        await self._send(target, self._local[target.name])

    async def _collect(self) -> None:
        """Put what this process has into the stores of the targets."""
        found: list[Notice] = []
        waiting: list[Future[None]] = []
        with contextlib.suppress(Empty):
            while True:
                notice, done = self._queue.get_nowait()
                found.append(notice)
                waiting.append(done)
        for target in self._targets:
            wanted = [notice for notice in found if target.wants(notice)]
            if wanted:
                await self._add(target, wanted)
        for done in waiting:
            done.set_result(None)

    async def _add(self, target: Target, notices: list[Notice]) -> None:
        store = await self._shared_store(target)
        if store is not None:
            try:
                await store.add(notices)
            except Exception as error:  # noqa: BLE001 - a driver may raise anything
                self._note_redis(error)
            else:
                return
        await self._local[target.name].add(notices)

    async def _send_what_is_due(self) -> float | None:
        """Begin to send; the seconds until there is more to send, or None where nothing is collected."""
        waits = []
        for target in self._targets:
            shared = await self._shared_store(target)
            for kind, store in (("shared", shared), ("local", self._local[target.name])):
                key = f"{kind} {target.name}"
                if store is None or key in self._sending:
                    continue
                taken = await self._taken(store)
                if isinstance(taken, Taken):
                    self._sending[key] = asyncio.create_task(self._deliver_and_note(key, target, store, taken))
                    waits.append(1.0)
                elif taken is not None:
                    waits.append(taken)
        return min(waits, default=None)

    async def _deliver_and_note(self, key: str, target: Target, store: Store, taken: Taken) -> None:
        try:
            await self._deliver(target, store, taken)
        finally:
            del self._sending[key]
            if self._wake is not None:
                self._wake.set()

    async def _taken(self, store: Store) -> Taken | float | None:
        try:
            return await store.take()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._note_redis(error)
            return None

    async def _send(self, target: Target, store: Store) -> None:
        taken = await self._taken(store)
        if isinstance(taken, Taken):
            await self._deliver(target, store, taken)

    async def _deliver(self, target: Target, store: Store, taken: Taken) -> None:
        count = sum(notice.count for notice in taken.notices) + taken.more
        try:
            await self._post(target, taken)
        except Exception as error:  # noqa: BLE001 - any of a server, a library and a format
            is_final = isinstance(error, NotDeliveredError) and error.is_final
            text = str(error) if isinstance(error, NotDeliveredError) else f"{type(error).__name__}: {error}"
            if is_final or taken.tries >= len(PAUSES):
                log.error(f"NOTIFY: '{target.name}' is not told of {_failures(count)}: {text}")
                await self._settle(store.sent(taken))
                return
            pause = PAUSES[taken.tries]
            log.warning(f"NOTIFY: '{target.name}' is told of {_failures(count)} in {pause:g} s: {text}")
            await self._settle(store.failed(taken, pause))
            return
        log.info(f"NOTIFY: '{target.name}' is told of {_failures(count)}")
        await self._settle(store.sent(taken))

    async def _settle(self, coroutine: Any) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; then it is sent once more
            self._note_redis(error)

    async def _post(self, target: Target, taken: Taken) -> None:
        project, console = self._manager.config.PROJECT_NAME, target.options.get("CONSOLE") or ""
        message = message_of(taken.notices, taken.more, project, console)
        if target.options["TYPE"] == "mail":
            from opa.plugins.notify.mail import send_mail

            await send_mail(target.options, message)
        else:
            content = _FORMS[target.options["TYPE"]](message)
            await post(target.options["URL"], content)

    async def _shared_store(self, target: Target) -> RedisStore | None:
        if time.monotonic() < self._redis_from:
            return None
        if self._client is None:
            self._client = await self._connected()
            if self._client is None:
                return None
        store = self._shared.get(target.name)
        if store is None:
            config = self._manager.config
            key = f"opa:{config.PROJECT_ID or config.PROJECT_NAME}:notify:{target.name}"
            store = self._shared[target.name] = RedisStore(self._client, key, target.window, target.limit)
        return store

    async def _connected(self) -> Any:
        """A client of the component's redis, in this loop; None where there is none."""
        state = self._manager.component_states.get(COMPONENT)
        if state is None or state.driver is None:
            self._redis_from = float("inf")
            return None
        driver = type(state.driver)(state.driver.opts, state.driver.load)
        driver.pm, driver.component = state.driver.pm, COMPONENT
        try:
            connecting = driver.connect()
            if inspect.isawaitable(connecting):
                await connecting
            await driver.get_instance().ping()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._note_redis(error)
            return None
        self._has_told_of_redis = False
        return driver.get_instance()

    def _note_redis(self, error: Exception) -> None:
        self._redis_from = time.monotonic() + WITHOUT_REDIS
        if not self._has_told_of_redis:
            self._has_told_of_redis = True
            log.warning(f"NOTIFY: redis does not answer, so that each process sends messages by itself: {error}")


def _failures(count: int) -> str:
    return "1 failure" if count == 1 else f"{count} failures"

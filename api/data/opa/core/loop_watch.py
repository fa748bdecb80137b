"""Names the plugin that holds the event loop, so that no other request or task goes on.

The loop notes the time ten times a second. A thread looks at that as often, and closer where a note is
late: at what the thread of the loop does then. It is told as held by someone only if the same call of the loop was seen
all the time, and the time was its own: not the scheduler's, which had no processor for it, not a debugger's, and not
that of a process which was stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol

from opa.core.running import running_manager
from opa.logging.logger import log

NOTE_INTERVAL, LOOK_INTERVAL, CLOSE_INTERVAL = 0.1, 0.1, 0.025
"""Seconds between two notes of the loop, two looks at them, and two looks at a loop that is late."""
TOLD_AT = 2.0
"""Seconds after which it is told that the loop is held, although it still is."""
TOLD_EVERY = 60.0
"""Seconds between two lines of the log about one place."""
MOST_PLACES = 1000
SLACK = 0.01
"""Seconds that a thread may wake too late on a machine that has time for it."""

_LOOP_MODULES = frozenset({"asyncio.events", "asyncio.base_events", "selectors", "asyncio.selector_events"})
_DEBUGGERS = ("pdb", "bdb", "debugpy", "pydevd", "_pydevd_bundle", "_pydev_bundle", "IPython.terminal.debugger")
_FRAMEWORK = ("opa.http", "opa.core", "opa.tasks", "starlette.routing", "starlette.middleware", "fastapi.routing")
"""Behind these, a frame of a plugin further out has only handed the request on, as middleware does."""

Blocks = Mapping[str | None, tuple[int, float]]


class Manager(Protocol):
    """What is needed of the plugin manager."""

    @property
    def kept(self) -> dict[str, Any]:
        """Holds what belongs to the application."""

    def plugin_of_module(self, module: str) -> str | None:
        """The plugin that the module belongs to."""


class Place(NamedTuple):
    """Where the loop was held.

    Attributes:
        plugin: whose code it is; None for that of no plugin.
        where: file, line and function in that code.
        inside: the same of what it has called, where that is Python; empty otherwise.
    """

    plugin: str | None
    where: str
    inside: str = ""


class _Delay:
    """A note that has not come."""

    lost: float = 0.0
    call: FrameType | None = None
    is_one_call: bool = True
    seen: float = 0.0
    """When a look has seen that call last."""
    is_debugged: bool = False
    looks: int = 0
    is_told: bool = False

    def __init__(self, due: float, processor: float, waited: float | None, collected: float) -> None:
        self.due = due
        self.processor = processor
        self.waited = waited
        self.collected = collected
        self.places: Counter[Place] = Counter()


class _ThreadEndedError(Exception):
    """The thread of the loop has ended: there is nothing more to watch."""


class LoopWatch:
    """Watches the event loop of the thread in which it is started.

    Args:
        manager: knows which code is whose.
        limit: seconds for which nobody may hold it.
        tell: gets the text of a warning.
    """

    def __init__(self, manager: Manager, limit: float, tell: Callable[[str], object] = log.warning) -> None:
        self._manager = manager
        self._limit = limit
        self._tell = tell
        self._noted = 0.0
        self._base: FrameType | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        self._told: dict[tuple[str | None, str], float] = {}
        self._collected, self._collection_began = 0.0, 0.0

    def start(self) -> None:
        """Begin; called in the loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._native = threading.get_native_id()
        self._clock = getattr(time, "pthread_getcpuclockid", lambda _thread: None)(self._thread)
        gc.callbacks.append(self._note_collection)
        self._noted = time.monotonic()
        self._timer = self._loop.call_later(NOTE_INTERVAL, self._note)
        threading.Thread(target=self._watch, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        """End; called in the loop."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        self._base = None
        if self._note_collection in gc.callbacks:
            gc.callbacks.remove(self._note_collection)

    def _note(self) -> None:
        self._noted = time.monotonic()
        if self._base is None:
            self._base = _outside(sys._getframe().f_back)  # of CPython
        if not self._stop.is_set():
            self._timer = self._loop.call_later(NOTE_INTERVAL, self._note)

    def _note_collection(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._collection_began = time.monotonic()
        elif self._collection_began:
            self._collected += time.monotonic() - self._collection_began
            self._collection_began = 0.0

    def _watch(self) -> None:
        with contextlib.suppress(_ThreadEndedError):
            self._look_until_stopped()

    def _look_until_stopped(self) -> None:
        delay: _Delay | None = None
        noted, before = self._noted, self._measured()
        interval, last = LOOK_INTERVAL, time.monotonic()
        while not self._stop.wait(interval):
            now = time.monotonic()
            lost, last = max(now - last - interval - SLACK, 0.0), now
            if noted != self._noted:
                if delay is not None:
                    self._end(delay, self._noted)
                delay, interval = None, LOOK_INTERVAL
                noted, before = self._noted, self._measured()
            if now - noted > NOTE_INTERVAL + CLOSE_INTERVAL and self._base is not None:
                if delay is None:
                    delay = _Delay(noted + NOTE_INTERVAL, *before)
                    interval = CLOSE_INTERVAL
                delay.lost += lost
                self._look(delay, now)
                if now - delay.due > TOLD_AT + self._limit and not delay.is_told and self._is_held(delay, now):
                    delay.is_told = True
                    self._report(delay, now - delay.due, so_far=" so far")

    def _measured(self) -> tuple[float, float | None, float]:
        """Processor time of the loop's thread, the time that it has waited for a processor, and that of collections.

        Raises:
            _ThreadEndedError: there is no such thread any more.
        """
        try:
            processor = 0.0 if self._clock is None else time.clock_gettime(self._clock)
        except OSError:  # a thread that has ended has no clock: its loop was closed, or its process ends
            raise _ThreadEndedError from None
        return processor, _waited(self._native), self._collected

    def _look(self, delay: _Delay, now: float) -> None:
        frames = list(_up_to(sys._current_frames().get(self._thread), self._base))
        if delay.is_one_call and delay.call is not None and (not frames or delay.call is not frames[-1]):
            self._end(
                delay, delay.seen
            )  # that call has ended, and the next one began before the loop has noted the time
            delay.is_one_call = False
        delay.looks += 1
        if not frames:  # it waits, or runs what is not Python's
            delay.is_one_call = False
            return
        if delay.call is None:
            delay.call = frames[-1]
        if delay.is_one_call:
            delay.seen = now
        modules = [frame.f_globals.get("__name__") or "" for frame in frames]
        delay.is_debugged = delay.is_debugged or any(_is_in(module, _DEBUGGERS) for module in modules)
        delay.places[self._place(frames, modules)] += 1

    def _place(self, frames: list[FrameType], modules: list[str]) -> Place:
        for frame, module in zip(frames, modules, strict=True):
            plugin = self._manager.plugin_of_module(module)
            if plugin is not None:
                inside = "" if frame is frames[0] else _where(frames[0])
                return Place(plugin, _where(frame), inside)
            if _is_in(module, _FRAMEWORK):
                break
        return Place(None, _where(frames[0]))

    def _is_held(self, delay: _Delay, now: float) -> bool:
        """Whether one call has held the loop for longer than the limit."""
        if not delay.looks or not delay.is_one_call or delay.is_debugged:
            return False
        processor, waited, _ = self._measured()
        used = processor - delay.processor
        if used >= self._limit:
            return True
        # It has waited for something: as long as the thread that looks at it was there to see that.
        starved = delay.lost if waited is None or delay.waited is None else max(waited - delay.waited, delay.lost)
        return delay.looks > 1 and now - delay.due - starved > self._limit

    def _end(self, delay: _Delay, noted: float) -> None:
        seconds = noted - delay.due
        if seconds > self._limit and self._is_held(delay, noted):
            place = self._report(delay, seconds, so_far="")
            blocks: dict[str | None, tuple[int, float]] = self._manager.kept.setdefault(__name__, {})
            count, before = blocks.get(place.plugin, (0, 0.0))
            blocks[place.plugin] = count + 1, before + seconds

    def _report(self, delay: _Delay, seconds: float, so_far: str) -> Place:
        place = delay.places.most_common(1)[0][0]
        is_collection = self._collected - delay.collected > seconds / 2
        if is_collection:
            place = Place(None, "the garbage collector", place.where)
        now = time.monotonic()
        key = place.plugin, place.where
        if now < self._told.get(key, 0.0) or (delay.is_told and not so_far):
            return place
        if len(self._told) >= MOST_PLACES:
            self._told.clear()
        self._told[key] = now + TOLD_EVERY
        self._tell(_text(place, seconds, so_far, is_collection=is_collection))
        return place


class NoWatch:
    """Stands for one where nothing is watched."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def _text(place: Place, seconds: float, so_far: str, *, is_collection: bool) -> str:
    """What the log says."""
    held = f"held the event loop for {seconds:.1f} s{so_far}, and all else waited"
    if is_collection:
        return f"the garbage collector {held}; it came by in {place.inside}"
    who = f"plugin '{place.plugin}'" if place.plugin else "code of no plugin"
    inside = f", inside of {place.inside}" if place.inside else ""
    return (
        f"{who} {held}: {place.where}{inside}. What waits or computes for long belongs into a 'def' route, a task or"
        " 'await asyncio.to_thread(…)'; LOOP_BLOCK_LIMIT sets what is long"
    )


def event_loop_blocks() -> Blocks:
    """How often plugins have held the event loop of this process for longer than `LOOP_BLOCK_LIMIT`, and for how long.

    By the name of the plugin, or None for code of no plugin: how often, and the seconds of all together.
    """
    manager: Any = running_manager()
    blocks: dict[str | None, tuple[int, float]] = manager.kept.get(__name__, {})
    return dict(blocks)


def _up_to(frame: FrameType | None, base: FrameType | None) -> Iterator[FrameType]:
    """The frames of what the loop has called, the innermost first; none where this is not the loop."""
    found: list[FrameType] = []
    while frame is not None and frame is not base:
        found.append(frame)
        frame = frame.f_back
    if frame is None:
        return
    yield from (each for each in found if each.f_globals.get("__name__") not in _LOOP_MODULES)


def _outside(frame: FrameType | None) -> FrameType | None:
    """The frame that has called the loop, or that part of it which stays the same."""
    while frame is not None and frame.f_code.co_name in ("_run", "_run_once"):
        frame = frame.f_back
    return frame


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return module.startswith(tuple(f"{package}." for package in packages)) or module in packages


def _where(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _waited(thread: int) -> float | None:
    """Seconds for which a thread could have run, and had no processor; None where the system does not say."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None

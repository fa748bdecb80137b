"""How the process is: its time, memory, files and event loop. Each process notes its own, and others read that."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import suppress
from math import inf
from pathlib import Path

from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.state import cells

INTERVAL = 1.0
"""Seconds between two notes."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, inf)
LAG = Definition(
    "histogram",
    "opa_event_loop_lag_seconds",
    "How late the event loop does what is due, looked at once a second.",
    bounds=BOUNDS,
)
GAUGES = {
    "memory": Definition(
        "gauge", "process_resident_memory_bytes", "Memory of all processes of the service.", "livesum"
    ),
    "files": Definition("gauge", "process_open_fds", "Open files of all processes.", "livesum"),
    "threads": Definition("gauge", "opa_threads", "Threads of Python of all processes.", "livesum"),
    "processes": Definition("gauge", "opa_processes", "Processes of the service.", "livesum"),
    "start": Definition("gauge", "process_start_time_seconds", "When the oldest process has started.", "livemin"),
}
CPU = Definition("counter", "process_cpu_seconds", "Processor time of all processes, with those that have ended.")
COLLECTIONS = Definition(
    "counter", "python_gc_collections", "Garbage collections of all processes.", labels=("generation",)
)
COLLECTED = Definition(
    "counter", "python_gc_objects_collected", "Objects that they have freed.", labels=("generation",)
)
PAGE = resource.getpagesize()


class Vitals:
    """Those of this process."""

    def __init__(self) -> None:
        self._gauges = {name: cells.allocate(definition, "", ()) for name, definition in GAUGES.items()}
        self._cpu = cells.allocate(CPU, "_total", ())
        self._generations = [
            (cells.allocate(COLLECTIONS, "_total", (str(number),)), cells.allocate(COLLECTED, "_total", (str(number),)))
            for number in range(3)
        ]
        self._started = time.time()

    def note(self) -> None:
        """Note them as they are now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = {"threads": threading.active_count(), "processes": 1, "start": self._started, **_of_system()}
        view = cells.view
        for name, value in found.items():
            view[self._gauges[name]] = float(value)
        view[self._cpu] = used.ru_utime + used.ru_stime
        for (collections, collected), found_stats in zip(self._generations, gc.get_stats(), strict=False):
            view[collections] = float(found_stats["collections"])
            view[collected] = float(found_stats["collected"])

    async def ticks(self) -> AsyncIterator[None]:
        """Once a second, after noting how late the event loop is for that."""
        clock = asyncio.get_running_loop().time
        first = cells.allocate(LAG, "", (), len(BOUNDS) + 1)
        while True:
            due = clock() + INTERVAL
            await asyncio.sleep(INTERVAL)
            lag = max(clock() - due, 0.0)
            cells.increase(first + bisect_left(BOUNDS, lag), 1.0)
            cells.increase(first + len(BOUNDS), lag)
            yield


def _of_system() -> dict[str, float]:
    """Of Linux alone; `memory` elsewhere is the most that there was."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        found = {"memory": float(pages * PAGE)}
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"memory": float(most * (1 if sys.platform == "darwin" else 1024))}
    with suppress(OSError):
        found["files"] = float(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - names alone, once a second
    return found

"""See that files have changed.

What counts is a comparison of all files before and after, so no change is lost where notifications are lost
or do not exist. Notifications of the operating system only make it quick and spare looking in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from watchfiles import watch

SUFFIXES = (".py", ".json", ".yaml", ".yml", ".toml", ".ini")
LEFT_OUT = {"__pycache__", "node_modules"}

POLL_SECONDS = 0.4
# With notifications: how long until the files are compared without one.
LOOK_AGAIN_SECONDS = 2.0
QUIET_SECONDS = 0.1
RESTLESS_SECONDS = 5.0


class Stop(Protocol):
    """What ends a wait: a `Flag`, or an event."""

    def is_set(self) -> bool: ...

    def wait(self, seconds: float, /) -> object: ...


Stamp = tuple[int, int, int]
Snapshot = dict[str, Stamp]


def take_snapshot(folders: Iterable[Path]) -> Snapshot:
    """Every file below `folders` that counts, with its inode, size and time of change in nanoseconds.

    Hidden folders, `__pycache__` and `node_modules` are left out; links are followed. A folder that does not
    exist has no files.
    """
    seen: set[tuple[int, int]] = set()
    return {path: stamp for folder in folders for path, stamp in _files(str(folder), seen)}


def _files(folder: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, Stamp]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # gone since it was listed, or not ours to read: whoever imports from it says so
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in LEFT_OUT:
            continue
        try:
            found = entry.stat()
        except OSError:  # gone since it was listed, or a link that leads nowhere
            continue
        if stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield from _files(entry.path, seen)
        elif entry.name.endswith(SUFFIXES):
            yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)


def changed_files(before: Snapshot, after: Snapshot) -> list[str]:
    """Paths that are new, gone or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def wait_for_change(
    folders: Iterable[Path],
    before: Snapshot,
    *,
    polling: bool,
    stop: Stop,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[str]:
    """Wait until files differ from `before` and have been quiet for a moment.

    Args:
        folders: what to watch. Those that do not exist yet may appear.
        before: a snapshot of `folders`.
        polling: look at the files at short intervals, and do not rely on notifications.
        stop: ends the wait.
        meanwhile: called every now and then, at least every two seconds.

    Returns:
        The paths that changed; none when `stop` was set.
    """
    folders = list(folders)
    for _ in _moments(folders, polling, stop):
        meanwhile()
        now = take_snapshot(folders)
        if now != before:
            # Where a change was undone at once, what it was is still worth a new start.
            return changed_files(before, _when_quiet(folders, now, stop)) or changed_files(before, now)
    return []


def _when_quiet(folders: list[Path], last: Snapshot, stop: Stop) -> Snapshot:
    """The snapshot after the last of many steps, as in a `git checkout`."""
    for _ in range(round(RESTLESS_SECONDS / QUIET_SECONDS)):
        if stop.wait(QUIET_SECONDS):
            break
        now = take_snapshot(folders)
        if now == last:
            break
        last = now
    return last


def _moments(folders: list[Path], polling: bool, stop: Stop) -> Iterator[None]:
    """Yield whenever it is time to look at the files, until `stop` is set."""
    while not stop.is_set():
        existing = [folder for folder in folders if folder.is_dir()]
        if polling or not existing:
            stop.wait(POLL_SECONDS)
            yield
            continue
        # A new watch each time: a folder may have appeared, or have been replaced by another of the same
        # name.
        for _ in watch(
            *existing,
            watch_filter=None,
            debounce=50,
            step=20,
            rust_timeout=round(LOOK_AGAIN_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            break
        yield

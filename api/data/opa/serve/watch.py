"""See that files have changed.

What counts is a comparison of all files before and after, so no change is lost where notifications are lost
or do not exist. Notifications of the operating system only make it quick and spare looking in between.

The polling of watchfiles compares times in whole seconds: of two changes in one second it sees the first.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from watchfiles import watch

from opa.serve.watched import Stamp, Watched

POLL_SECONDS = 0.25
# With notifications: how long until the files are compared without one.
RESCAN_SECONDS = 2.0
DEBOUNCE_SECONDS = 0.1
MAX_DEBOUNCE_SECONDS = 5.0


class Stop(Protocol):
    """What ends a wait: a `Flag`, or an event."""

    def is_set(self) -> bool:
        """Whether the wait is to end."""

    def wait(self, seconds: float, /) -> object:
        """Wait until it is set, at most so many seconds."""


Snapshot = dict[str, Stamp]


def take_snapshot(watched: Iterable[Watched]) -> Snapshot:
    """Every file that counts, with its stamp. A folder that does not exist has none."""
    return {path: stamp for each in watched for path, stamp in each.files()}


def fingerprint(snapshot: Snapshot) -> str:
    """What two snapshots have in common only where they are the same."""
    return f"{zlib.crc32(repr(sorted(snapshot.items())).encode(errors='surrogateescape')):x}"


def changed_files(before: Snapshot, after: Snapshot) -> list[str]:
    """Paths that are new, gone or different."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def wait_for_change(
    watched: Iterable[Watched],
    before: Snapshot,
    *,
    polling: bool,
    stop: Stop,
    meanwhile: Callable[[], None] = lambda: None,
    is_time: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Wait until files differ from `before` and have been quiet for a moment.

    Args:
        watched: the folders. Those that do not exist yet may appear.
        before: a snapshot of them.
        polling: look at the files at short intervals, and do not rely on notifications.
        stop: ends the wait.
        meanwhile: called every now and then, at least every two seconds.
        is_time: whether to call that at once; asked several times a second.

    Returns:
        The paths that changed; none when `stop` was set.
    """
    watched = list(watched)
    for _ in _moments(without_nested(each.folder for each in watched), polling, stop, is_time):
        meanwhile()
        now = take_snapshot(watched)
        if now != before:
            # Where a change was undone at once, what it was is still worth a new start.
            return changed_files(before, _when_quiet(watched, now, stop)) or changed_files(before, now)
    return []


def without_nested(folders: Iterable[Path]) -> list[Path]:
    """`folders` without those that are in another one of them; none twice."""
    known = dict.fromkeys(folders)
    return [folder for folder in known if not any(other in folder.parents for other in known)]


def _when_quiet(watched: list[Watched], last: Snapshot, stop: Stop) -> Snapshot:
    """The snapshot after the last of many steps, as in a `git checkout`."""
    for _ in range(round(MAX_DEBOUNCE_SECONDS / DEBOUNCE_SECONDS)):
        if stop.wait(DEBOUNCE_SECONDS):
            break
        now = take_snapshot(watched)
        if now == last:
            break
        last = now
    return last


class _Either:
    """What is set when it is time for something, or to stop."""

    def __init__(self, stop: Stop, is_time: Callable[[], bool]) -> None:
        self._stop = stop
        self._is_time = is_time

    def is_set(self) -> bool:
        return self._stop.is_set() or self._is_time()


def _moments(folders: list[Path], polling: bool, stop: Stop, is_time: Callable[[], bool]) -> Iterator[None]:
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
            rust_timeout=round(RESCAN_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=_Either(stop, is_time),
            ignore_permission_denied=True,
        ):
            break
        yield

"""What the processes of this service have counted: those that run, and in one file all that have ended."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opa import log
from opa.plugins.core_metrics.cells import (
    KEYS,
    NUMBERS,
    SPARE,
    Cells,
    Definition,
    Series,
    definition_from_json,
    definition_to_json,
)
from opa.plugins.core_metrics.shared_values import MOST_RECENT

ENDED = "ended.json"
LOCK = "lock"
LOCK_LIMIT = 2.0
"""Seconds to wait for another process that is reading."""
LOCK_PAUSE = 0.01

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
"""What reading something raises that no process of ours has written, or not to its end."""

Key = tuple[Definition, str, tuple[str, ...]]
Numbers = dict[Key, list[float]]


class BusyError(Exception):
    """Another process reads, and does not come to an end."""


@dataclass
class _Read:
    """What is known of the keys of a process, whose file only grows."""

    bytes_read: int = 0
    cells: int = SPARE
    definitions: list[Definition] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)


@dataclass
class Total:
    """All numbers.

    Attributes:
        numbers: added up, of each metric that a process has which runs.
        by_process: the gauges of which each process has its own, by its id.
        processes: how many run.
    """

    numbers: Numbers
    by_process: dict[str, Numbers]
    processes: int


class Reader:
    """Reads the numbers of all processes.

    Args:
        cells: those of this process.
        folder: where the files are; None where this process stands alone.
    """

    def __init__(self, cells: Cells, folder: Path | None) -> None:
        self._cells = cells
        self._folder = folder
        self._read_cache: dict[str, _Read] = {}

    def total(self) -> Total:
        """What all processes have counted.

        Raises:
            BusyError: another process reads for too long.
            OSError: the files cannot be read.
        """
        own = {} if self._cells.name else {str(os.getpid()): _numbers_of(self._cells.series(), self._cells.view)}
        if self._folder is None:
            return _added(own, {})
        try:
            with _locked(self._folder):
                ended, left = self._fold()
                names = [name for name in _names(self._folder) if name not in left]
                living = {name: self._numbers(self._folder, name) for name in names}
        except OSError:
            if not own:
                raise
            return _added(own, {})
        return _added({**living, **own}, ended)

    def fold(self) -> None:
        """Put together what processes have left that have ended; nothing where another process does that.

        Raises:
            OSError: the files cannot be written.
        """
        if self._folder is not None:
            with suppress(BusyError), _locked(self._folder, limit=0):
                self._fold()

    def _fold(self) -> tuple[Numbers, set[str]]:
        """Put them together. Gives the numbers of all that have ended, and those whose files are left."""
        folder = self._folder
        assert folder is not None  # noqa: S101 - both callers have looked
        dead = [name for name in _names(folder) if _has_ended(folder, name)]
        folded, ended = _read_ended(folder)
        # Those of a process that has put them together, and ended before they were gone.
        again = [name for name in dead if name in folded]
        new = [name for name in dead if name not in folded]
        for name in new:
            for key, numbers in self._numbers(folder, name).items():
                if key[0].kind != "gauge" or key[0].mode in ("sum", "max", "min", "mostrecent"):
                    _add(ended, key, numbers)
        if new:
            try:
                _write_ended(folder, dead, ended)
            except OSError:  # where it is full, they are added up again the next time
                return ended, set(dead)
        for name in (*new, *again):
            self._read_cache.pop(name, None)
            for ending in (KEYS, NUMBERS):
                with suppress(FileNotFoundError):
                    (folder / f"{name}{ending}").unlink()
        return ended, set()

    def _numbers(self, folder: Path, name: str) -> Numbers:
        try:
            known = self._keys(folder, name)
            with (folder / f"{name}{NUMBERS}").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # Mapped, so that no number is read while half of it is written.
                with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
                    view = memoryview(mapped).cast("d")
                    numbers = _numbers_of(known.series, view)
                    view.release()
                    return numbers
        except FileNotFoundError:  # someone has emptied the folder
            return {}
        except UNREADABLE as error:
            log.warning(f"what process {name} has counted cannot be read, and is not in the metrics: {error!r}")
            return {}

    def _keys(self, folder: Path, name: str) -> _Read:
        known = self._read_cache.setdefault(name, _Read())
        with (folder / f"{name}{KEYS}").open("rb") as file:
            file.seek(known.bytes_read)
            content = file.read()
        content = content[: content.rfind(b"\n") + 1]  # the last may be half written
        known.bytes_read += len(content)
        for line in content.splitlines():
            found = json.loads(line)
            if isinstance(found, dict):
                known.definitions.append(definition_from_json(found))
            else:
                number, suffix, labels, count = found
                series = Series(known.definitions[number], suffix, tuple(labels), known.cells, count)
                known.series.append(series)
                known.cells += count
        return known


def _numbers_of(series: Iterable[Series], view: Any) -> Numbers:
    numbers: Numbers = {}
    for each in series:
        if each.first + each.count <= len(view):
            numbers[each.definition, each.suffix, each.labels] = list(view[each.first : each.first + each.count])
    return numbers


def _names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(KEYS) for path in folder.glob(f"[!.]*{KEYS}"))


def _has_ended(folder: Path, name: str) -> bool:
    """Whether nobody holds the lock on the file any more; the kernel takes it from a process that is killed."""
    try:
        with (folder / f"{name}{KEYS}").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)  # as below
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _locked(folder: Path, limit: float = LOCK_LIMIT) -> Iterator[None]:
    end = time.monotonic() + limit
    with (folder / LOCK).open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise BusyError("another process has been reading the metrics for too long") from None
                time.sleep(LOCK_PAUSE)
        try:
            yield
        finally:
            # Not by closing alone: a child that was forked meanwhile has the file open too, and would keep the lock.
            fcntl.flock(file, fcntl.LOCK_UN)


def _read_ended(folder: Path) -> tuple[set[str], Numbers]:
    """The processes whose numbers are among these, and the numbers of all that have ended."""
    numbers: Numbers = {}
    try:
        found = json.loads((folder / ENDED).read_bytes())
        for written, series in found["metrics"]:
            definition = definition_from_json(written)
            for suffix, labels, values in series:
                numbers[definition, suffix, tuple(labels)] = values
        return set(found["last"]), numbers
    except FileNotFoundError:
        return set(), {}
    except UNREADABLE as error:
        # Such as after the machine has lost its power. Metrics that begin anew are better than none, and no start.
        bad = (folder / ENDED).replace(folder / f"{ENDED}.bad")
        log.warning(f"what processes have counted that have ended cannot be read, and begins anew: {bad}: {error!r}")
        return set(), {}


def _write_ended(folder: Path, names: list[str], numbers: Numbers) -> None:
    """Written in one step, with whose numbers they are: whoever is killed behind it leaves files that are ignored."""
    by_definition: dict[Definition, list[Any]] = {}
    for (definition, suffix, labels), values in numbers.items():
        by_definition.setdefault(definition, []).append([suffix, labels, values])
    metrics = [[definition_to_json(definition), series] for definition, series in by_definition.items()]
    new = folder / f".{ENDED}.new"
    try:
        new.write_text(json.dumps({"last": names, "metrics": metrics}))
        new.replace(folder / ENDED)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def _add(total: Numbers, key: Key, numbers: list[float]) -> None:
    before = total.get(key)
    mode = key[0].mode.removeprefix("live")
    if before is None or len(before) != len(numbers):
        total[key] = list(numbers)
    elif mode == "max":
        before[0] = max(before[0], numbers[0])
    elif mode == "min":
        before[0] = min(before[0], numbers[0])
    elif mode in MOST_RECENT:
        if numbers[1] >= before[1]:
            before[:] = numbers
    else:
        for index, number in enumerate(numbers):
            before[index] += number


def _added(living: dict[str, Numbers], ended: Numbers) -> Total:
    total: Numbers = {key: list(numbers) for key, numbers in ended.items()}
    own: dict[str, Numbers] = {}
    current: dict[str, Definition] = {}
    for name, numbers in living.items():
        for key, values in numbers.items():
            current[key[0].name] = key[0]
            if key[0].mode in ("all", "liveall"):
                own.setdefault(name.partition("-")[0], {})[key] = values
            else:
                _add(total, key, values)
    # After a change of the code, a process that has ended may have had another metric of that name.
    kept = {key: numbers for key, numbers in total.items() if current.get(key[0].name, key[0]) == key[0]}
    return Total(kept, own, len(living))

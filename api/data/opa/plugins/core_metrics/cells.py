"""The numbers of one process, in a file that outlives it.

Each number is a cell, eight bytes in memory that is mapped from the file: to add to it is a look-up and a store, and
what was added is there for the others when the process is killed in the next moment. What the cells mean stands in a
second file, a line for each, written before the cell is used.

`prometheus_client` has such files of its own. They are not used, because they are named after the id of the process,
which another one may get; because those of processes that have ended stay for ever; and because the process is killed
by a signal (SIGBUS) where the file system is full.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import threading
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opa import at_fork

KEYS, NUMBERS = ".keys", ".cells"
FIRST_CELLS, MOST_CELLS = 4096, 1 << 18
"""Of a process: those that a file has at first, and at most, which are 2 MB."""
MOST_KEY_BYTES = 8 << 20
SPARE = 128
"""The first cells are for what has no room, and mean nothing."""


@dataclass(frozen=True)
class Definition:
    """A metric.

    Attributes:
        kind: `counter`, `gauge`, `summary` or `histogram`.
        name: without `_total`.
        text: what it is, for people.
        mode: of a gauge, how those of several processes become one; as in `prometheus_client`.
        labels: their names.
        bounds: of a histogram whose buckets and sum lie side by side, the upper bounds; the last is infinite.
    """

    kind: str
    name: str
    text: str
    mode: str = ""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Series:
    """What some cells mean.

    Attributes:
        definition: the metric.
        suffix: of the name, such as `_total` or `_bucket`.
        labels: their values; that of `le` last, where it is one bucket.
        first: the number of its first cell.
        count: how many cells it has.
    """

    definition: Definition
    suffix: str
    labels: tuple[str, ...]
    first: int
    count: int


@dataclass
class _Files:
    keys: int
    """The descriptor, on which the lock lies that tells that this process lives."""
    numbers: int
    size: int
    """In cells."""
    name: str
    maps: list[mmap.mmap] = field(default_factory=list)


class Cells:
    """The numbers of this process: in memory, and from `attach` on in a file.

    Attributes:
        view: the cells. Whoever adds to one takes it from here each time: it is exchanged where it grows.
        lock: for adding to a cell that several threads add to.
        name: of the files; empty while there are none.
    """

    def __init__(self) -> None:
        self.view: Any = array("d", bytes(8 * SPARE))
        # A collection may run code that adds to a cell while this thread does.
        self.lock = threading.RLock()
        self.lost = 0
        self.name = ""
        self._series: list[Series] = []
        self._known: dict[tuple[Definition, str, tuple[str, ...]], int] = {}
        self._definitions: dict[Definition, int] = {}
        self._used = SPARE
        self._key_bytes = 0
        self._folder: Path | None = None
        self._files: _Files | None = None
        self._when_lost: Callable[[str], object] = lambda _why: None
        at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._in_child)

    def series(self) -> tuple[Series, ...]:
        """Of all cells, what they mean."""
        return tuple(self._series)

    def allocate(self, definition: Definition, suffix: str, labels: Sequence[str], count: int = 1) -> int:
        """The number of the first of `count` cells for these labels, which are 0 at first, or those that there are.

        A label may be anything: what cannot be written as it is, such as half a character, is changed. Where there is
        no room, it is one that means nothing; `attach` says who hears of that.
        """
        key = (definition, suffix, tuple(labels))
        with self.lock:
            first = self._known.get(key)
            if first is None:
                texts = tuple(map(_as_text, labels))
                first = (
                    self._allocate(*key, count) if texts == key[2] else self.allocate(definition, suffix, texts, count)
                )
                self._known[key] = first
            return first

    def increase(self, cell: int, amount: float) -> None:
        """Add to a cell that several threads may add to."""
        with self.lock:
            self.view[cell] += amount

    def note(self, cell: int, value: float) -> None:
        """Set a cell."""
        self.view[cell] = value

    def _allocate(self, definition: Definition, suffix: str, labels: tuple[str, ...], count: int) -> int:
        if self._used + count > MOST_CELLS:
            return self._lose(f"it has {MOST_CELLS} numbers, the most that a process may have")
        series = Series(definition, suffix, labels, self._used, count)
        try:
            self._write(series)
        except OSError as error:
            return self._lose(f"{error.strerror}: {self._folder}")
        self._series.append(series)
        self._used += count
        return series.first

    def _write(self, series: Series) -> None:
        """Note what the cells mean, and make room for them.

        Raises:
            OSError: there is none.
        """
        lines = b""
        number = self._definitions.get(series.definition)
        if number is None:
            number = len(self._definitions)
            lines = _line(definition_to_json(series.definition))
        lines += _line([number, series.suffix, series.labels, series.count])
        if self._key_bytes + len(lines) > MOST_KEY_BYTES:
            raise OSError(0, f"the labels take more than {MOST_KEY_BYTES} bytes")
        needed = series.first + series.count
        if self._files is None:
            if needed > len(self.view):
                self.view.extend([0.0] * (needed - len(self.view)))
        else:
            self._grow(self._files, needed)
            _append(self._files.keys, lines, self._key_bytes)
        self._key_bytes += len(lines)
        self._definitions[series.definition] = number

    def _lose(self, why: str) -> int:
        self.lost += 1
        if self.lost == 1:
            self._when_lost(why)
        return 0

    def attach(self, folder: Path, when_lost: Callable[[str], object]) -> None:
        """Keep the numbers in files of this folder from now on.

        Args:
            folder: of all processes whose numbers are added up.
            when_lost: called with the reason when there is no room for a number.

        Raises:
            OSError: they cannot be written.
        """
        with self.lock:
            if self._files is not None:
                return
            self._folder, self._when_lost = folder, when_lost
            name = f"{os.getpid()}-{os.urandom(6).hex()}"
            made = folder / f".{name}{KEYS}"
            # No reader takes it for one of a process that has ended: it gets its name when it is locked.
            keys = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            numbers = -1
            try:
                fcntl.flock(keys, fcntl.LOCK_EX)
                numbers = os.open(folder / f"{name}{NUMBERS}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                files = _Files(keys, numbers, 0, name)
                before = self.view
                lines = b"".join(_line(definition_to_json(each)) for each in self._definitions)
                lines += b"".join(
                    _line([self._definitions[each.definition], each.suffix, each.labels, each.count])
                    for each in self._series
                )
                _append(keys, lines, 0)
                view = self._grown(files, max(self._used, FIRST_CELLS))
                for index in range(SPARE, self._used):
                    view[index] = before[index]
                made.rename(folder / f"{name}{KEYS}")
            except OSError:
                os.close(keys)
                if numbers >= 0:
                    os.close(numbers)
                for path in (made, folder / f"{name}{NUMBERS}"):
                    with suppress(OSError):
                        path.unlink()
                raise
            self._key_bytes = len(lines)
            self._files, self.view, self.name = files, view, name

    def restore(self) -> bool:
        """Write the files anew where someone has removed them, or for the first time where there was no room before.

        Returns:
            Whether they were removed. What processes had counted that have ended is lost then.

        Raises:
            OSError: they cannot be written.
        """
        with self.lock:
            files, folder = self._files, self._folder
            if folder is None:
                return False
            if files is None:
                self.attach(folder, self._when_lost)
                return False
            if (folder / f"{files.name}{KEYS}").exists():
                return False
            self._files = None
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.attach(folder, self._when_lost)
            except OSError:
                self._files = files
                raise
        os.close(files.keys)
        os.close(files.numbers)
        return True

    def _grow(self, files: _Files, needed: int) -> None:
        if needed > files.size:
            self.view = self._grown(files, max(needed, 2 * files.size))

    def _grown(self, files: _Files, size: int) -> memoryview[float]:
        # Written, and not only made longer: a page that has no room would end the process when it is used.
        _append(files.numbers, bytes(8 * (size - files.size)), 8 * files.size)
        mapped = mmap.mmap(files.numbers, 8 * size)
        files.maps.append(mapped)  # the one before may be written to by another thread at this moment
        files.size = size
        return memoryview(mapped).cast("d")

    def _before_fork(self) -> None:
        self.lock.acquire(timeout=1)

    def _after_fork(self) -> None:
        with suppress(RuntimeError):
            self.lock.release()

    def _in_child(self) -> None:
        """What the parent has counted stays the parent's."""
        self.lock = threading.RLock()
        files, self._files, self.name = self._files, None, ""
        self.view = array("d", bytes(8 * self._used))
        if files is None:
            return
        os.close(files.keys)
        os.close(files.numbers)
        if self._folder is not None:
            with suppress(OSError):  # it goes on in memory, and nobody sees that
                self.attach(self._folder, self._when_lost)


def definition_to_json(definition: Definition) -> dict[str, Any]:
    """As it is written into files."""
    return {
        "kind": definition.kind,
        "name": definition.name,
        "text": definition.text,
        "mode": definition.mode,
        "labels": definition.labels,
        "bounds": [repr(bound) for bound in definition.bounds],
    }


def definition_from_json(found: dict[str, Any]) -> Definition:
    """The reverse."""
    bounds = tuple(float(bound) for bound in found["bounds"])
    return Definition(found["kind"], found["name"], found["text"], found["mode"], tuple(found["labels"]), bounds)


def _as_text(label: object) -> str:
    return str(label).encode("utf-8", "replace").decode()


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _append(descriptor: int, content: bytes, at: int) -> None:
    """Write all of it, or nothing.

    Raises:
        OSError: there is no room.
    """
    written = 0
    try:
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], at + written)
    except OSError:
        os.ftruncate(descriptor, at)
        raise

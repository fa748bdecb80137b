"""What a process has taken down and not yet written to redis, in a file that outlives it.

A process that is killed takes with it what it has not written. It stands here too: each process of a worker appends to
a file of its own, and another process of the same machine writes what is left of one that is gone. Nothing is synced to
a disk: a killed process loses nothing of a file, and the file lies in memory where a worker has shared memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Sized
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opa import log, mask_text
from opa.plugins.task_runs.component import COMPONENT
from opa.plugins.task_runs.names import STATES, prefix_of

if TYPE_CHECKING:
    from opa.plugins.task_runs.event import Event

SUFFIX = ".journal"
LARGEST = 8 << 20
"""Bytes of a journal: what comes beyond stands in the memory of its process alone."""
LONGEST_LOG, LONGEST_TRACEBACK = 16_384, 65_536
"""Characters of them that stand in a journal, of one run."""


class Left(NamedTuple):
    """What a process that is gone has left.

    Attributes:
        events: as JSON.
        logs: id and try of a run, its log, traceback, and how many characters it has logged.
    """

    events: list[str]
    logs: list[tuple[str, int, str, str, int]]


class Journal:
    """That of this process; where it cannot be written, nothing is.

    Args:
        folder: gives the folder of all journals.
    """

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: int | None = None
        self._size = 0
        self._is_off = self._is_over = False
        self.path: Path | None = None

    def add(self, event: Event) -> None:
        """Note an event, which stands among those to be written already."""
        line = event.text.encode("utf-8", "replace")
        if event.said is not None or event.traceback:
            line += b"\n" + _log_of(event).encode()
        with self._lock:
            if self._is_off or self._size + len(line) >= LARGEST:
                return
            try:
                if self._file is None:
                    self._file = self._opened()
                self._size += os.write(self._file, line + b"\n")
            except OSError as error:
                log.debug("what a process that is killed has not recorded of runs is lost: {!r}", error)
                self._is_off = True

    def clear(self, events: Sized) -> None:
        """Forget all, if no other event has come meanwhile: what was noted is written to redis."""
        with self._lock:
            if events or self._is_over or not (self._size or self._is_off):
                return
            with suppress(OSError):
                if self._file is not None:
                    os.ftruncate(self._file, 0)
                # There may be room again, where there was none.
                self._size, self._is_off = 0, False

    def close(self, *, is_written: bool) -> None:
        """The process ends, or is another one's child, whose file this is."""
        with self._lock:
            self._is_off = self._is_over = True
            if self._file is None:
                return
            with suppress(OSError):
                if is_written and self.path is not None:
                    self.path.unlink()
                    self.path.parent.rmdir()  # an error where there are others
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        try:
            return self._made()
        except FileNotFoundError:  # another process has ended, and has removed the folder
            return self._made()

    def _made(self) -> int:
        folder = self._folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(folder):
            raise PermissionError(f"{folder} is not a folder of this user alone")
        name = f"{os.getpid()}-{os.urandom(6).hex()}{SUFFIX}"
        made = folder / f".{name}"
        # Nobody takes it for one of a process that is gone: it gets its name when it is locked.
        file = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
            made.rename(folder / name)
        except OSError:
            os.close(file)
            made.unlink(missing_ok=True)
            raise
        self.path = folder / name
        return file


def _log_of(event: Event) -> str:
    said, total = ("", 0) if event.said is None else (event.said.text[-LONGEST_LOG:], event.said.total)
    return json.dumps([event.id, event.tries, said, event.traceback[-LONGEST_TRACEBACK:], total])


def journals_of(config: Any) -> Path:
    """The folder of the journals of a project; those for another redis, or of another user, are in another one.

    Its name is there for every user of the machine: passwords are not part of what it is made of.

    Raises:
        OSError: there is no place for files.
    """
    options = next(each.OPTS for name, each in config.OPTIONAL_COMPONENTS.items() if name.lower() == COMPONENT)
    of = mask_text(f"{os.geteuid()} {prefix_of(config)} {dict(sorted(dict(options).items()))!r}")
    return Path(tempfile.gettempdir()) / f"opa-runs-{sha256(of.encode()).hexdigest()[:24]}"


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def left_behind(folder: Path, own: Path | None) -> Iterator[Left]:
    """What processes that are gone have left; a journal is removed when the next one is asked for."""
    try:
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if not paths or not _is_private(folder):
            return
    except OSError:
        return
    for path in paths:
        # Of a file of its own, a process would get the lock, and lose it again.
        if path == own:
            continue
        with suppress(OSError), path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if os.fstat(file.fileno()).st_nlink:
                yield _read(file.read(2 * LARGEST))
                path.unlink()
                folder.rmdir()  # an error where there are others


def _read(text: bytes) -> Left:
    left = Left([], [])
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):  # it was killed while it wrote
            continue
        match found:
            case {"i": str(), "s": str(state), "n": int()} if state in STATES:
                left.events.append(line.decode())
            case [str(task_id), int(tries), str(said), str(traceback), int(total)]:
                left.logs.append((task_id, tries, said, traceback, total))
    return left

"""The folder `.opa`, where the servers of `opa up` keep their data. No other user looks into it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opa.core.errors import StartError

NAME = ".opa"
# The servers of a run that has just ended may still be writing.
LOCK_LIMIT = 5.0
PAUSE = 0.1


@contextmanager
def locked_folder(project: Path) -> Iterator[tuple[Path, int]]:
    """The folder `.opa` in `project`, which is made where it is missing, and the file descriptor of its lock.

    Whoever keeps the descriptor keeps the lock: a server that inherits it protects its data from a second server, also
    after the process that started it was killed.

    Raises:
        StartError: another run has the lock.
    """
    folder = project / NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    file = folder / "lock"
    lock = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        _lock(lock, file)
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield folder, lock
    finally:
        os.close(lock)


def _lock(lock: int, file: Path) -> None:
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StartError(
                    f"opa up runs in this folder already (process {file.read_text().strip() or 'unknown'})",
                    where=str(file),
                    hint="Stop that one, or run this one in another folder",
                ) from None
            time.sleep(PAUSE)
        else:
            return

"""What the processes of an `opa up` tell one another.

A mistake that keeps each of them from starting is told once, by the first that finds it. After a change of a file the
api starts first: someone waits for its answer, and all of them at once would take twice the time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from opa.process.folder import NAME
from opa.settings.inherited import STATE_VARIABLE, process_of_up

FILE = "mistake"
STARTED_FILE = "api-started"
STARTED_LIMIT = 2.0
"""Seconds that the others wait at most."""
POLL_INTERVAL = 0.05
MAX_BYTES = 100


def forget_told(folder: Path) -> None:
    """Have everything told anew by the processes of an `opa up` that starts.

    Args:
        folder: the folder `.opa`.
    """
    for file in (FILE, STARTED_FILE):
        (folder / file).unlink(missing_ok=True)


def is_told(text: str, project: Path) -> bool:
    """Whether another process has told this mistake, of the same state of the files; if not, it is told from now on."""
    key = hashlib.sha256(f"{os.environ.get(STATE_VARIABLE)} {text}".encode(errors="surrogateescape")).digest()
    try:
        file = os.open(project / NAME / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:  # the folder is gone, or may not be written to: better told three times than never
        return False
    with os.fdopen(file, "r+b") as told:
        fcntl.flock(told, fcntl.LOCK_EX)
        # All of them: the processes may fail in turn, each over a mistake of its own.
        if key in told.read():
            return True
        told.write(key)
    return False


def tell_start(project: Path) -> None:
    """Tell the others that the api has started with this state of the files, or cannot."""
    if process_of_up() != "api":
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(OSError):  # they wait no longer than their limit
        file = os.open(project / NAME / STARTED_FILE, flags, 0o600)
        with os.fdopen(file, "w") as told:
            told.write(os.environ.get(STATE_VARIABLE, ""))


def wait_for_start(project: Path, wait: Callable[[float], object]) -> None:
    """Wait until the api has told that, where this is another process of an `opa up`; at most `STARTED_LIMIT`.

    Args:
        project: the folder of the `opa up`.
        wait: takes seconds, and gives whether to wait no more.
    """
    if process_of_up() in ("", "api"):
        return
    deadline = time.monotonic() + STARTED_LIMIT
    while time.monotonic() < deadline and _started(project) != os.environ.get(STATE_VARIABLE):
        if wait(POLL_INTERVAL):
            return


def _started(project: Path) -> str | None:
    """The state of the files with which the api has started."""
    try:
        file = os.open(project / NAME / STARTED_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(file, "rb") as told:
            return told.read(MAX_BYTES).decode()
    except (OSError, ValueError):
        return None

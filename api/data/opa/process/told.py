"""A mistake that keeps every process of an `opa up` from starting is told once, by the first that finds it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from opa.process.folder import NAME
from opa.settings.inherited import STATE_VARIABLE

FILE = "mistake"


def forget_told(folder: Path) -> None:
    """Have everything told anew by the processes of an `opa up` that starts.

    Args:
        folder: the folder `.opa`.
    """
    (folder / FILE).unlink(missing_ok=True)


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

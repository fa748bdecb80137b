"""Read a small text file of a user's: whatever lies in its place is a problem in words, and never a hang."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_FILE_BYTES = 10 * 1024 * 1024
"""Bytes of a file that is read at start."""
TOO_LARGE = f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MB"


class UnreadableError(Exception):
    """The message says what is wrong, without the name of the file. `is_missing`: there is none."""

    def __init__(self, problem: str, *, is_missing: bool = False) -> None:
        super().__init__(problem)
        self.is_missing = is_missing


def without_waiting(path: str, flags: int) -> int:
    """An `opener` for `open`: a read gives what there is, also of a file of the system that only looks like others."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(path: Path) -> str:
    """The text of the file at `path`, without a byte-order mark.

    Raises:
        UnreadableError: there is no such file, it is not a regular file, too large, or no UTF-8 text.
    """
    try:
        # Before it is opened: that would wait for someone who writes into a pipe.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("is not a regular file")
        with open(path, "rb", opener=without_waiting) as file:
            content: bytes | None = file.read(MAX_FILE_BYTES + 1)  # the size that a system tells is 0 for some files
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadableError(f"cannot be read: {error.strerror}", is_missing=True) from error
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # there is a NUL in the path
        raise UnreadableError(f"cannot be read: {error}") from error
    if content is None:  # it would have to wait
        raise UnreadableError("is not a regular file")
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableError(TOO_LARGE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"is not UTF-8 text, in line {line}") from error

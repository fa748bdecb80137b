"""What the log said during a run: its last 64 KB."""

from __future__ import annotations

import zlib
from binascii import a2b_base64, b2a_base64
from collections import deque

LONGEST = 65_536
"""Characters of it that are kept."""


class Said:
    """The lines of a run; one thread adds, another one reads."""

    __slots__ = ("_lines", "_size", "total", "written")

    def __init__(self) -> None:
        self._lines: deque[str] | None = None
        self._size = 0
        self.total = 0
        """Characters that were said in all."""
        self.written = 0
        """What `total` was when it was written."""

    def add(self, line: str) -> None:
        """Add a line; the oldest make room."""
        if self._lines is None:
            self._lines = deque()
        if len(line) > LONGEST:
            line = f"…{line[-LONGEST + 1 :]}"
        self._lines.append(line)
        self._size += len(line)
        self.total += len(line)
        while self._size > LONGEST:
            self._size -= len(self._lines.popleft())

    def packed(self, traceback: str = "") -> bytes:
        """It as redis keeps it: `total`, the length of the traceback, and both texts compressed.

        In ASCII, since the component may have a client that gives texts.
        """
        return packed(self.text, traceback, self.total)

    @property
    def text(self) -> str:
        """What is kept of it."""
        return "".join(tuple(self._lines or ()))


def packed(text: str, traceback: str, total: int) -> bytes:
    """A log and a traceback as redis keeps them; see `Said.packed`."""
    return f"{total} {len(traceback)} ".encode() + compressed(f"{traceback}{text}")


def compressed(text: str) -> bytes:
    """A text as it is kept."""
    return b2a_base64(zlib.compress(text.encode("utf-8", "replace"), 3), newline=False)


def decompressed(kept: bytes | str, most: int = 8 * LONGEST) -> str:
    """The text that `compressed` has made this of, or what `most` bytes of it say.

    Raises:
        ValueError: it was made by something else.
    """
    try:
        return zlib.decompressobj().decompress(a2b_base64(kept), most).decode("utf-8", "replace")
    except zlib.error as error:
        raise ValueError(str(error)) from error


def unpacked(kept: bytes | str) -> tuple[str, str, int]:
    """The log, the traceback, and how many characters were said in all; whatever stands in redis.

    Raises:
        ValueError: it is nothing that `packed` gives.
    """
    total, length, packed = kept.split(maxsplit=2)
    text = decompressed(packed)
    return text[int(length) :], text[: int(length)], int(total)

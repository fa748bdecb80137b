"""Why workers did not start, told by the workers and read by their master."""

from __future__ import annotations

import os

MAX_LINE_BYTES = 4096  # bytes that the kernel writes into a pipe in one piece (PIPE_BUF)


class StartFailures:
    """Made before the fork; a worker calls `note`, the master `first`."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def note(self, reason: str) -> None:
        """Tell the master; where many have told it already, it is dropped."""
        line = reason.strip().replace("\0", "").encode()[: MAX_LINE_BYTES - 1] + b"\0"
        try:
            os.write(self._writer, line)
        except BlockingIOError:
            return

    def first(self) -> str | None:
        """What the first worker said that did not start, or None."""
        try:
            told = os.read(self._reader, MAX_LINE_BYTES)
        except BlockingIOError:
            return None
        return told.partition(b"\0")[0].decode(errors="replace") or None

"""Standard input, line by line, without a thread that holds up the end of the process."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

READ_AHEAD = 16
"""Lines that are read before anyone has asked for them."""


class Lines:
    """The lines of a descriptor, as the library reads them: `async for line in lines`.

    A thread reads, which waits in the system for the next line; it ends with the process, whatever it waits for.

    Args:
        descriptor: is read, and never closed.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = io.open(descriptor, encoding="utf-8", errors="replace", closefd=False)  # noqa: UP020, SIM115
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str] = asyncio.Queue(READ_AHEAD)
        threading.Thread(target=self._read, name="opa mcp: standard input", daemon=True).start()

    def _read(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            while True:
                try:
                    line = self._file.readline()
                except (OSError, ValueError):
                    line = ""
                asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()
                if not line:
                    return

    def end(self) -> None:
        """Read no more, as if the input had ended; what has been read is dropped. To be called in the event loop."""
        while not self._lines.empty():
            self._lines.get_nowait()
        self._lines.put_nowait("")

    async def __aiter__(self) -> AsyncIterator[str]:
        """Each line; the end is that of the input."""
        while line := await self._lines.get():
            yield line


def take_standard_input() -> int:
    """A descriptor that has standard input, which leads nowhere from now on: no code of a plugin reads it."""
    taken = os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    return taken

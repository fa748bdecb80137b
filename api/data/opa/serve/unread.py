"""How much of what was sent a client has not read yet, as far as this machine can know."""

from __future__ import annotations

import asyncio
from array import array
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ


def unread_bytes(transport: asyncio.WriteTransport) -> int:
    """Bytes that wait here, and those that the kernel has taken and the client's machine has not acknowledged.

    0 where none wait here. The kernel takes more only when a third of its buffer is free again, several MB after:
    without its part, a client that reads slowly and steadily would look like one that does not read.
    """
    waiting = transport.get_write_buffer_size()
    if not waiting:
        return 0
    of_kernel = array("i", [0])
    found = transport.get_extra_info("socket")
    # It has been closed, or is of a kind for which the kernel does not count.
    with suppress(OSError, AttributeError, ValueError):
        ioctl(found.fileno(), TIOCOUTQ, of_kernel)
    return waiting + of_kernel[0]

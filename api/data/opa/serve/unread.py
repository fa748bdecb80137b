"""How much of what was sent a client has not read yet, as far as this machine can know."""

from __future__ import annotations

import asyncio
import socket
import struct
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


TCP_INFO_BYTES = 128
ACKED = struct.Struct("=Q")
ACKED_AT = 120
"""Where Linux has `tcpi_bytes_acked` in its `tcp_info`, from version 4.1 on."""


def read_steps(transport: asyncio.WriteTransport, step: float, unread: int) -> int:
    """A number that is another one as soon as the client has read `step` bytes more.

    Args:
        transport: of the connection.
        step: bytes.
        unread: as `unread_bytes` says; where the kernel does not count what was read, any change of it is one.
    """
    found = transport.get_extra_info("socket")
    # As in `unread_bytes`.
    with suppress(OSError, AttributeError, ValueError, struct.error):
        connection = socket.socket(found.family, found.type, found.proto, fileno=found.fileno())
        try:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        finally:
            connection.detach()
        return int(ACKED.unpack_from(info, ACKED_AT)[0] // step)
    return -unread

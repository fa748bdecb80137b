"""Connections that have waited for the process which accepts them, as they do in development while it reloads."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import sys

from opa.serve.protocol import HttpProtocol

MIN_WAIT = 500
"""Milliseconds since the client has sent something. One that sends, and closes its end at once, is not meant."""
LAST_DATA_RECEIVED = 52
"""Where `struct tcp_info` of linux/tcp.h has `tcpi_last_data_recv`."""


class WaitedProtocol(HttpProtocol):
    """Takes no request of a client that has given up while it waited: it may have sent the same once more."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected, some time ago."""
        super().connection_made(transport)
        if _has_given_up(transport.get_extra_info("socket").fileno()):
            self.drop()


def _has_given_up(descriptor: int) -> bool:
    """Whether the client has closed its end after it had waited; never where the system cannot tell."""
    if sys.platform != "linux":
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    if not poll.poll(0):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_RECEIVED + 4)
    (waited,) = struct.unpack_from("I", facts, LAST_DATA_RECEIVED)
    return bool(waited >= MIN_WAIT)

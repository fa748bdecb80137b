"""Sockets that another thread waits for."""

from __future__ import annotations

import socket
from contextlib import suppress


def shut(found: socket.socket) -> None:
    """End a connection in whichever thread waits for it; below TLS, whose state is that thread's."""
    with suppress(OSError):
        socket.socket.shutdown(found, socket.SHUT_RDWR)

"""What is private in redis-py, and used here."""

from __future__ import annotations

import socket
from typing import Any


def socket_of(connection: Any) -> socket.socket | None:
    """The socket of a connection; None where it has none at the moment."""
    found: socket.socket | None = getattr(connection, "_sock", None)
    return found


def is_locked(pool: Any) -> bool:
    """Whether a thread holds the lock of a pool of connections; in a child process it may be one of the parent's."""
    lock = getattr(pool, "_lock", None)
    if lock is None:
        return False
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True

"""What is private in redis-py, and used here."""

from __future__ import annotations

import socket
from typing import Any


def socket_of(connection: Any) -> socket.socket | None:
    """The socket of a connection; None where it has none at the moment."""
    found: socket.socket | None = getattr(connection, "_sock", None)
    return found

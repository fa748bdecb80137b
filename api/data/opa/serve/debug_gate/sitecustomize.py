"""Inside the adapter of debugpy: a connection is only accepted when what comes first is a message of the protocol.

A message begins with its length, and an HTTP request, a WebSocket or a TLS handshake begins otherwise. That is looked
at and left there. Of debugpy it uses only that its listening socket is Python's. It imports nothing of opa-stack, which
an adapter has no use for.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

BEGINNING = b"Content-Length:"
SILENCE_TIMEOUT = 10.0
"""Seconds that a connection may say nothing; a debugger speaks first."""
MAX_WAITING = 32
"""Connections that may say nothing at the same time; then the oldest is closed."""
POLL_INTERVAL = 0.05

PORT = int(os.environ.pop("OPA_DEBUG_GATE_PORT", "0"))
Accepted = tuple[socket.socket, Any]


class Gate:
    """What `socket.socket.accept` becomes.

    Args:
        port: of the debugger.
        accept: `socket.socket.accept`, for it and for all other ports.
    """

    def __init__(self, port: int, accept: Callable[[socket.socket], Accepted]) -> None:
        self._port = port
        self._accept = accept
        self._waiting: list[tuple[float, Accepted]] = []

    def accept(self, listener: socket.socket) -> Accepted:
        """As `socket.accept`; on the port of the debugger, the next connection that a debugger has made.

        Raises:
            OSError: the socket is closed.
        """
        if listener.getsockname()[1] != self._port:
            return self._accept(listener)
        while True:
            if listener.fileno() < 0:
                raise OSError("the socket is closed")
            readable, _, _ = select.select([listener, *(found[0] for _, found in self._waiting)], [], [], 1.0)
            if listener in readable:
                self._waiting.append((time.monotonic(), self._accept(listener)))
            if (debugger := self._next_debugger()) is not None:
                return debugger
            if any(found[0] in readable for _, found in self._waiting):
                # It has said a part of the word, which stays readable.
                time.sleep(POLL_INTERVAL)

    def _next_debugger(self) -> Accepted | None:
        """Close the connections that are no debugger's; give one that is."""
        for item in list(self._waiting):
            since, found = item
            verdict = _begins_well(found[0])
            if verdict:
                self._waiting.remove(item)
                return found
            if verdict is False or time.monotonic() - since > SILENCE_TIMEOUT:
                self._close(item)
        for item in self._waiting[:-MAX_WAITING]:
            self._close(item)
        return None

    def _close(self, item: tuple[float, Accepted]) -> None:
        self._waiting.remove(item)
        with contextlib.suppress(OSError):
            item[1][0].close()


def _begins_well(connection: socket.socket) -> bool | None:
    """Whether it begins as a message does; None while that is open."""
    try:
        said = connection.recv(len(BEGINNING), socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return False
    if said == BEGINNING:
        return True
    return None if said and BEGINNING.startswith(said) else False


def _install(port: int) -> None:
    gate = Gate(port, socket.socket.accept)

    def accept(self: socket.socket) -> Accepted:
        return gate.accept(self)

    socket.socket.accept = accept  # type: ignore[method-assign]


if PORT:
    _install(PORT)

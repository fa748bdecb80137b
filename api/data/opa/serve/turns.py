"""Connections take in what has arrived by turns, so that no burst of small frames or chunks holds the process up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from opa._compat.uvicorn import FlowControl

TIME_SLICE = 0.005
"""Seconds after which all the others get on: requests, and the routes that are to have the messages."""


class Taker(Protocol):
    """Who has something to take in."""

    def take_part(self) -> bool:
        """Take in a small part of it; whether there is more to take."""


class Turns:
    """Those of a process. However many connections there are, they share the time between two looks at the sockets."""

    def __init__(self) -> None:
        self._waiting: deque[Taker] = deque()

    def wait(self, taker: Taker) -> None:
        """Let `taker` take in what it has, behind those that wait already.

        Args:
            taker: does not wait yet.
        """
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._go)
        self._waiting.append(taker)

    def _go(self) -> None:
        end = time.perf_counter() + TIME_SLICE
        waiting = self._waiting
        try:
            while waiting:
                taker = waiting.popleft()
                if taker.take_part():
                    waiting.append(taker)
                if time.perf_counter() > end:
                    break
        finally:
            if waiting:
                asyncio.get_running_loop().call_soon(self._go)


class HeldFlow(FlowControl):
    """Reads no more from a connection that waits for its turn, whatever a request asks for."""

    holds = False

    def resume_reading(self) -> None:
        """Read on, unless what has been read is not taken in."""
        if self.holds:
            self.read_paused = False
        else:
            super().resume_reading()

    def hold(self) -> None:
        """Read no more, until it is let go."""
        self.holds = True
        self.stop_transport()

    def let_go(self) -> None:
        """Read as it was asked for meanwhile."""
        self.holds = False
        if not self.read_paused:
            self.start_transport()

"""Connections take in what has arrived by turns, so that no burst of small frames or chunks holds the process up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

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

"""Clients that call a route as fast as it answers."""

from __future__ import annotations

import contextlib
import http.client
import threading
from typing import Any


class Load:
    """Runs `clients` threads until each finds nothing that listens, or loses a request.

    Attributes:
        lost: for each request that was sent on an open connection and got no answer 200, why.
    """

    def __init__(self, host: str, port: int, path: str, *, clients: int, keep: bool = False) -> None:
        self.lost: list[str] = []
        self._host, self._port = host, port
        self._path = path
        self._headers = {} if keep else {"Connection": "close"}
        self._answered = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._call) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        for thread in self._threads:
            thread.join(30)

    def wait_for_answers(self, count: int) -> None:
        for _ in range(count):
            assert self._answered.acquire(timeout=10), self.lost

    def _call(self) -> None:
        with contextlib.closing(http.client.HTTPConnection(self._host, self._port, timeout=20)) as connection:
            while True:
                if connection.sock is None:
                    try:
                        connection.connect()
                    except OSError:  # nothing listens, or the container's address is gone
                        return
                try:
                    connection.request("GET", self._path, headers=self._headers)
                    answer = connection.getresponse()
                    answer.read()
                except Exception as error:
                    self.lost.append(repr(error))
                    return
                if answer.status != 200:
                    self.lost.append(f"answer {answer.status}")
                self._answered.release()

"""A client that sends bytes, right or wrong, and says what came back."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from types import TracebackType


class Raw:
    """A connection to a loopback port."""

    def __init__(self, port: int, *, timeout: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> bool:
        """Send all of it; whether the server let that happen."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except OSError:
            return False
        return True

    def send_all_of(self, parts: Iterable[bytes]) -> int:
        """Send until the server ends it; how many bytes it took."""
        sent = 0
        for part in parts:
            if not self.send(part):
                break
            sent += len(part)
        return sent

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers and body."""
        while b"\r\n\r\n" not in self._rest:
            self._read()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._read()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(first.split()[1]), headers, body

    def status(self) -> int:
        return self.answer()[0]

    def is_closed(self) -> bool:
        """Wait for the server to close the connection; what comes before that is not looked at."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(65536):
                pass
        return True

    def _read(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise AssertionError(f"closed, after {self._rest!r}")
        self._rest += data


def get(path: str, *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A request with a body of a length that is told."""
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


def chunk(data: bytes) -> bytes:
    """A part of a body of a length that is not told."""
    return b"%x\r\n%b\r\n" % (len(data), data)

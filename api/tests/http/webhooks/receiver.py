"""A receiver of webhooks on the loopback, which can misbehave."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field

from tests.loopback import Handler, LoopbackServer


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Behaviour:
    """What a path answers: one status after another, the last one for ever."""

    statuses: list[int | str] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)


class Receiver(LoopbackServer):
    """Keeps what is posted to it.

    Attributes:
        received: in the order in which it came.
        behaviours: by path; besides statuses there are `slow`, `hang`, `drip`, `endless` and `trickle`.
        most_at_once: requests, by path.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.most_at_once: dict[str, int] = {}
        self._at_once: dict[str, int] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        outer = self

        class Answers(Handler):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.received.append(Received(self.path, headers, self.body()))
                outer.count(self.path, 1)
                try:
                    outer.answer(self)
                finally:
                    outer.count(self.path, -1)

            def do_GET(self) -> None:
                outer.received.append(Received(f"GET {self.path}", {}, b""))
                self.answer(200)

        super().__init__(Answers)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def behave(self, path: str, *statuses: int | str, **headers: str) -> str:
        """Have a path answer so, and give its URL."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.behaviours[path] = Behaviour([*statuses], named)
        return f"{self.address}{path}"

    def at(self, path: str) -> list[Received]:
        """What was posted to a path."""
        return [each for each in self.received if each.path == path]

    def count(self, path: str, number: int) -> None:
        with self._lock:
            self._at_once[path] = self._at_once.get(path, 0) + number
            self.most_at_once[path] = max(self.most_at_once.get(path, 0), self._at_once[path])

    def answer(self, handler: Handler) -> None:
        behaviour = self.behaviours.get(handler.path, Behaviour())
        status = behaviour.statuses.pop(0) if len(behaviour.statuses) > 1 else behaviour.statuses[0]
        if status == "slow":
            self._released.wait(0.1)
            handler.answer(200)
        elif status == "hang":
            self._released.wait(60)
        elif status == "drip":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-More: ")
            while not self._released.wait(0.1):
                handler.wfile.write(b"1")
        elif status == "trickle":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while not self._released.wait(0.1):
                handler.wfile.write(b"x")
        elif status == "endless":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while not self._released.wait(0.001):
                handler.wfile.write(b"x" * 10_000)
        else:
            handler.answer(int(status), b"", **behaviour.headers)

    def __exit__(self, *_: object) -> None:
        self._released.set()
        super().__exit__()

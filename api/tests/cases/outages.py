"""The kind: that a server is gone is known to the one call that has met it, and all others find it out one by one."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from urllib.error import HTTPError

from tests.cases.place import Place, case
from tests.serve.process import wait_until

PLUGIN = """
    import socket
    from opa import Driver, get_instance, get_router

    router = get_router()

    class Line(Driver):
        name = "line"
        connection_errors = (OSError,)

        def connect(self):
            self.instance = self

        def validate(self):
            self.ask()

        def ask(self):
            with socket.create_connection((self.opts.HOST, int(self.opts.PORT)), timeout=4) as line:
                return line.recv(100).decode()

    @router.get("/line")
    def by_line():
        return get_instance("line").ask()

    @router.get("/plain")
    def plain():
        return "plain"
"""


# As many as Starlette has for `def` routes.
THREADS = 40


class Answering:
    """A server that says a word to whoever connects; while it hangs it takes the calls, and says nothing.

    Attributes:
        calls: how many it has taken.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.calls = 0
        self._listener = listener
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self._say, args=(line,), daemon=True).start()

    def _say(self, line: socket.socket) -> None:
        self.goes_on.wait()
        with line, suppress(OSError):  # it was waited for long enough
            line.sendall(b"word")


@contextmanager
def answering(place: Place) -> Iterator[Answering]:
    """A process that serves, with a component that such a server is behind."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        server = Answering(listener)
        place.plugin("uses.py", PLUGIN)
        component = "OPA_OPTIONAL_COMPONENTS__LINE"
        options = {"LOAD": "yes", "DRIVER": "line", "OPTS__HOST": "127.0.0.1", "OPTS__PORT": str(server.port)}
        place.start(**{f"{component}__{key}": value for key, value in options.items()}, WEB_CONCURRENCY="1")
        try:
            wait_until(lambda: place.answers("/line", "word"), what="it serves")
            yield server
        finally:
            server.goes_on.set()
            place.stop()


def status(place: Place, path: str) -> tuple[int, str, float]:
    """The status, what was answered, and the seconds that it took."""
    started = time.monotonic()
    try:
        answer = place.get(path, timeout=30)
    except HTTPError as error:
        return error.code, json.loads(error.read())["detail"], time.monotonic() - started
    return 200, answer, time.monotonic() - started


@case("P12", "A component that hangs is refused at once when that is known, and used again when it is back")
def refused_at_once(place: Place) -> None:
    with answering(place) as server, ThreadPoolExecutor(100) as clients:
        server.goes_on.clear()
        first = list(clients.map(lambda _: status(place, "/line"), range(100)))
        assert {code for code, _, _ in first} == {503}, first
        calls = server.calls
        later = list(clients.map(lambda _: status(place, "/line"), range(100)))
        assert {(code, text) for code, text, _ in later} == {(503, "component 'line' does not answer")}, later
        assert server.calls - calls < 50  # those that look whether it is back, one after another
        state = {each["name"]: each["status"] for each in place.get("/readyz")["components"]}
        assert state["line"] == "does not answer", state
        server.goes_on.set()
        wait_until(lambda: status(place, "/line")[0] == 200, seconds=5, what="it is used again")
        said = place.log
        assert said.count("component 'line' is refused at once") == 1, said
        assert said.count("component 'line' answers again") == 1, said


@case("P13", "Routes that wait for a component take no threads from those that do not")
def no_threads_taken(place: Place) -> None:
    with answering(place) as server, ThreadPoolExecutor(100) as clients:
        server.goes_on.clear()
        before = server.calls
        waiting = [clients.submit(status, place, "/line") for _ in range(100)]
        wait_until(lambda: server.calls - before >= THREADS, what=lambda: f"{server.calls - before} wait\n{place.log}")
        plain = [status(place, "/plain") for _ in range(5)]
        assert {text for _, text, _ in plain} == {"plain"}, plain
        assert max(seconds for _, _, seconds in plain) < 3, plain  # a thread that waits is free after 4
        assert {request.result()[0] for request in waiting} == {503}

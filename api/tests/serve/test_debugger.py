"""The debugger: a client attaches to what `opa start` runs."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.process.listen import listening_socket
from opa.serve.debug_gate import PORT_VARIABLE
from tests.docker.dap import DapClient
from tests.serve.process import Opa, free_port, wait_until

PLUGIN = """
from opa import get_router

router = get_router()


@router.get("/double")
def double(number: int):
    answer = 2 * number
    return answer  # {note}
"""
LINE = PLUGIN.split("\n").index("    return answer  # {note}") + 1


def start(opa: Opa, **environ: str) -> int:
    port = free_port()
    opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port), **environ)
    opa.wait_until_ready()
    return port


def attached(opa: Opa, port: int) -> DapClient:
    debugger = DapClient("127.0.0.1", port)
    debugger.attach(
        local_root=str(opa.plugins),
        remote_root=str(opa.plugins),
        breakpoints={str(opa.plugins / "double.py"): [LINE]},
    )
    return debugger


def assert_stops_and_shows_values(opa: Opa, debugger: DapClient) -> None:
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(opa.get("/double?number=21", timeout=30)))
    caller.start()
    variables = debugger.variables_where_stopped()
    assert (variables["number"], variables["answer"]) == ("21", "42")
    debugger.resume()
    caller.join()
    assert answers == [42]


def test_a_request_that_stands_at_a_breakpoint_does_not_hold_up_a_reload_and_a_debugger_attaches_again(
    opa: Opa,
) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = start(opa, OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    # It stays attached: its connection keeps the former process's adapter, and with it the port.
    with attached(opa, port) as debugger:
        caller = threading.Thread(target=lambda: opa.answers("/double?number=1"))
        caller.start()
        debugger.variables_where_stopped()
        opa.plugin("double.py", PLUGIN.format(note=2))
        wait_until(lambda: opa.log.count("a debugger can attach on") == 2, what=lambda: opa.log)
        caller.join()
        opa.wait_until_ready()
        with attached(opa, port) as another:
            assert_stops_and_shows_values(opa, another)
    assert opa.stop() == 0


def test_a_port_in_use_is_reported_and_the_api_serves(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    with listening_socket("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port))
        opa.wait_until_ready()
    assert f"no debugger can attach: 127.0.0.1:{port} is taken by another process" in opa.log
    assert opa.get("/double?number=3") == 6


def test_several_workers_and_a_debugger_are_refused(opa: Opa) -> None:
    assert opa.run_to_end(OPA_DEBUGPY="true", WEB_CONCURRENCY="2") == 1
    assert re.match(r"error: a debugger attaches to one process, and 2 workers are asked for", opa.log)


def test_debugpy_wait_waits_for_a_debugger(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = free_port()
    opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port), OPA_DEBUGPY_WAIT="true")
    wait_until(lambda: "waiting for a debugger" in opa.log)
    assert "serving on" not in opa.log
    with attached(opa, port):
        opa.wait_until_ready()


INITIALIZE = {
    "seq": 1,
    "type": "request",
    "command": "initialize",
    "arguments": {"adapterID": "python", "pathFormat": "path"},
}
BODY = json.dumps(INITIALIZE).encode()
# What a browser sends from any page, without asking anybody: fetch(…, {method: "POST", mode: "no-cors", body: …}).
POST = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nOrigin: https://example.com\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def answer(port: int, said: bytes) -> bytes:
    """All that is said back until the other side closes the connection, which it may do before it has read all."""
    received = bytearray()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(said)
        while part := connection.recv(4096):
            received += part
    return bytes(received)


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Opa, int]]:
    """One for all that only looks at what is let in."""
    opa = Opa(tmp_path_factory.mktemp("debugged"))
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = start(opa)
    yield opa, port
    opa.stop()


def test_a_breakpoint_in_a_plugin_stops_a_request_and_shows_values(debugged: tuple[Opa, int]) -> None:
    opa, port = debugged
    with attached(opa, port) as debugger:
        assert_stops_and_shows_values(opa, debugger)


@pytest.mark.parametrize(
    "said",
    [
        POST,
        POST.replace(b"POST", b"Content-Length", 1),
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        b"content-length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00",
        b"\r\n" + POST,
        b"A" * 1_000_000,
    ],
    ids=["post", "method", "websocket", "lower", "tls", "empty-line", "huge"],
)
def test_a_request_of_a_web_page_is_not_taken_for_a_debugger(debugged: tuple[Opa, int], said: bytes) -> None:
    opa, port = debugged
    assert answer(port, said) == b""
    assert opa.get("/double?number=3") == 6


def test_many_that_say_nothing_or_half_a_word_do_not_keep_a_debugger_out(debugged: tuple[Opa, int]) -> None:
    opa, port = debugged
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for number, connection in enumerate(silent):
        with contextlib.suppress(OSError):
            connection.sendall(b"Content-"[: number % 9])
    try:
        with attached(opa, port) as debugger:
            assert_stops_and_shows_values(opa, debugger)
    finally:
        for connection in silent:
            connection.close()


def test_a_debugger_that_speaks_in_small_pieces_is_heard(debugged: tuple[Opa, int]) -> None:
    _, port = debugged
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY):
            connection.sendall(bytes([byte]))
        heard = b""
        while b'"command": "initialize"' not in heard:
            chunk = connection.recv(4096)
            assert chunk, heard
            heard += chunk


def test_the_environment_of_the_adapter_reaches_no_process_of_the_api(debugged: tuple[Opa, int]) -> None:
    opa, _ = debugged
    assert opa.process is not None
    assert PORT_VARIABLE not in Path(f"/proc/{opa.process.pid}/environ").read_text()

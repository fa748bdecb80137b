"""What the tests of containers ask with."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.docker.engine import Answer, get


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP",
        b"HTTP/1.1 200 OK\r\nContent-Length: 111\r\n\r\n",
        b'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 111\r\n\r\n{"error"',
    ],
    ids=["nothing", "half a line", "no body", "half an error"],
)
def test_an_answer_that_breaks_off_is_none(sent: bytes) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(sent)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer)
        server.start()
        assert get(f"http://127.0.0.1:{listener.getsockname()[1]}/") == Answer(0)
        server.join()

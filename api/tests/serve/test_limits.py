"""Requests that would take more than their share: the process goes on, and the client is told."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import resource
import signal
import socket
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.serve.process import Opa, opa_in, wait_until
from tests.serve.raw import Raw, chunk, get, post

MB = 1_000_000

ROUTES = """
import asyncio

from fastapi import Body, Request, UploadFile, WebSocket
from fastapi.responses import Response, StreamingResponse

from opa import get_router, limits, log

router = get_router()


@router.get("/hello")
async def hello():
    return "hello"


@router.post("/json")
async def json(body: dict = Body()):
    return len(body)


@router.post("/stream")
async def stream(request: Request):
    size = 0
    async for part in request.stream():
        size += len(part)
    return size


@router.post("/import")
@limits(body_bytes=50_000_000, body_time=60)
async def import_(request: Request):
    return len(await request.body())


@router.post("/upload")
async def upload(file: UploadFile):
    return file.size


@router.post("/unread")
async def unread():
    return "not read"


@router.post("/headers")
async def headers(request: Request):
    await request.body()
    return [name for name in request.headers]


@router.get("/slow")
async def slow(seconds: float):
    await asyncio.sleep(seconds)
    return "done"


@router.get("/hangs")
async def hangs():
    try:
        await asyncio.sleep(60)
    finally:
        log.info("it was cancelled")


@router.get("/patient")
@limits(time=60)
async def patient(seconds: float):
    await asyncio.sleep(seconds)
    return "done"


@router.get("/events")
async def events():
    async def parts():
        for number in range(6):
            yield f"{number}\\n"
            await asyncio.sleep(1)

    return StreamingResponse(parts())


@router.post("/large-refusal")
async def large_refusal():
    return Response(b"x" * 20_000_000, headers={"Connection": "close"})


@router.get("/large")
async def large():
    return Response(b"x" * 20_000_000)


@router.get("/endless")
async def endless():
    async def parts():
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    return StreamingResponse(parts())


@router.websocket("/flood")
async def flood(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_bytes(b"x" * 65536)
    finally:
        log.info("the flood is over")


@router.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    while True:
        await socket.send_text(str(len(await socket.receive_text())))
"""


def start(opa: Opa, **environ: str) -> Opa:
    opa.plugin("routes.py", ROUTES)
    opa.start(WEB_CONCURRENCY="1", **environ)
    opa.wait_until_ready()
    return opa


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    """A server with the limits of the settings, and less patience."""
    with opa_in(tmp_path_factory.mktemp("limits")) as opa:
        yield start(
            opa,
            OPA_HEADER_TIMEOUT="2",
            OPA_BODY_TIMEOUT="2",
            OPA_REQUEST_TIMEOUT="3",
            OPA_IDLE_TIMEOUT="4",
            OPA_ALLOW_ORIGINS="http://page.example",
        )
        assert opa.stop() == 0


def resident(opa: Opa) -> float:
    """Megabytes of the process that serves."""
    (worker,) = opa.children()
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


# Answers.


def test_an_answer_arrives_in_one_piece(server: Opa) -> None:
    with Raw(server.port) as client:
        for _ in range(20):
            client.send(get("/hello"))
            answer = client.socket.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.partition(b"\r\n\r\n")[2]


# Headers.


def test_headers_of_100_mb_are_refused_at_once_and_take_no_memory(server: Opa) -> None:
    before = resident(server)
    with Raw(server.port) as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX: ")
        sent = client.send_all_of(b"x" * MB for _ in range(100))
        with Raw(server.port) as other:
            other.send(get("/hello"))
            assert other.status() == 200
        if sent < 100 * MB:
            return  # it was not even taken
        status, headers, body = client.answer()
    assert (status, headers["connection"]) == (431, "close")
    assert json.loads(body) == {"detail": "the headers of the request have more than 65536 bytes"}
    assert resident(server) - before < 50


def test_large_headers_are_told_so_and_the_connection_ends(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello", "X: " + "x" * 70_000))
        assert client.status() == 431
        assert client.is_closed()


def test_headers_of_almost_the_limit_are_taken(server: Opa) -> None:
    with Raw(server.port) as client:
        for _ in range(3):
            client.send(get("/hello", "X: " + "x" * 65_000))
            assert client.status() == 200


def test_a_header_that_comes_in_single_bytes_is_refused_at_the_same_size(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX: ")
        client.send_all_of(itertools.repeat(b"x", 70_000))
        assert client.status() in (431, 408)


def test_a_long_url_is_refused_as_such(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello?" + "x" * 70_000))
        assert client.status() == 414


def test_many_headers_are_refused(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello", *("a: b" for _ in range(99))))
        assert client.status() == 200
        client.send(get("/hello", *("a: b" for _ in range(100))))
        status, _, body = client.answer()
        assert (status, json.loads(body)["detail"]) == (431, "the request has more than 100 headers")


@pytest.mark.parametrize("is_trailer", [False, True], ids=["headers", "trailers"])
def test_many_headers_are_refused_before_they_end(server: Opa, is_trailer: bool) -> None:
    with Raw(server.port) as client:
        if is_trailer:
            client.send(get("/stream", "Transfer-Encoding: chunked", method="POST"), chunk(b"a"), b"0\r\n")
        else:
            client.send(b"GET /hello HTTP/1.1\r\n")
        client.send(b"a: b\r\n" * 102)  # the last one waits for the next line
        status, _, body = client.answer()
        assert (status, json.loads(body)["detail"]) == (431, "the request has more than 100 headers")
        assert client.is_closed()


def test_empty_lines_before_a_request_are_limited(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(b"\r\n" * 40_000)
        assert client.status() == 431


@pytest.mark.parametrize("size", [1, 70_000, 200_000])
def test_large_headers_behind_other_requests_are_refused_in_their_turn(server: Opa, size: int) -> None:
    with Raw(server.port) as client:
        client.send(get("/slow?seconds=0.2") + get("/hello") + get("/hello", "X: " + "x" * size))
        assert client.answer()[2] == b'"done"'
        assert client.answer()[2] == b'"hello"'
        assert client.status() == (200 if size == 1 else 431)


def test_many_requests_behind_one_that_is_not_answered_are_refused_in_their_turn(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/slow?seconds=0.5") + get("/hello") * 5000)
        assert client.answer()[2] == b'"done"'
        assert [client.status() for _ in range(100)] == [200] * 100
        assert client.status() == 503
        assert client.is_closed()


def test_large_headers_that_drip_on_five_connections_delay_no_other_request(server: Opa) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.port)) for _ in range(5)]
        for client in clients:
            client.send(b"GET /hello HTTP/1.1\r\nX: ")
            client.send_all_of(b"x" * MB for _ in range(40))
        (worker,) = server.children()
        before = processor_time(worker)
        began = time.monotonic()
        while time.monotonic() - began < 2:
            for client in clients:
                client.send(b"x" * 48)
            time.sleep(0.2)
        assert processor_time(worker) - before < 0.5
        assert server.get("/hello") == "hello"


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_slow_headers_are_told_so_and_a_silent_connection_is_closed(server: Opa) -> None:
    with Raw(server.port) as slow, Raw(server.port) as silent:
        slow.send(b"GET /hello HTTP/1.1\r\n")
        assert slow.status() == 408
        assert silent.is_closed()


def test_headers_that_keep_coming_do_not_make_it_longer(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(b"GET /hello HTTP/1.1\r\n")
        began = time.monotonic()
        client.socket.settimeout(0.1)
        while time.monotonic() - began < 30:
            client.send(b"a: b\r\n")
            with contextlib.suppress(TimeoutError):
                if client.socket.recv(100).startswith(b"HTTP/1.1 408"):
                    break
        else:
            pytest.fail("it went on")


def test_slow_headers_of_a_later_request_are_told_so_too(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello"))
        assert client.status() == 200
        client.send(b"GET /hello HTTP/1.1\r\n")
        assert client.status() == 408


def test_bytes_that_are_not_http_are_answered_400(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        status, _, body = client.answer()
        assert (status, json.loads(body)) == (400, {"detail": "Invalid HTTP request received."})
        assert client.is_closed()


# Bodies.


def test_a_body_of_300_mb_is_refused_before_it_is_read(server: Opa) -> None:
    before = resident(server)
    with Raw(server.port) as client:
        client.send(get("/json", "Content-Length: 300000000", method="POST"))
        status, headers, body = client.answer()  # nothing of the body has been sent
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(body) == {"detail": "the body of the request has more than 10485760 bytes"}
        client.send_all_of(b"x" * MB for _ in range(300))
    assert resident(server) - before < 50


def test_a_client_that_only_listens_when_it_has_sent_its_body_hears_of_it(server: Opa) -> None:
    with Raw(server.port) as client:
        assert client.send(post("/json", b"x" * 30 * MB))
        assert client.status() == 413


@pytest.mark.parametrize("path", ["/json", "/stream"])
def test_a_body_of_300_mb_in_chunks_is_refused_at_the_limit(server: Opa, path: str) -> None:
    before = resident(server)
    with Raw(server.port) as client:
        client.send(get(path, "Transfer-Encoding: chunked", method="POST"))
        client.send_all_of(chunk(b"x" * MB) for _ in range(300))
        with contextlib.suppress(ConnectionResetError):
            assert client.status() == 413
    assert resident(server) - before < 60


def test_a_body_in_chunks_below_the_limit_is_taken(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/stream", "Transfer-Encoding: chunked", method="POST"))
        client.send(*[chunk(b"x" * MB)] * 10, b"0\r\n\r\n")
        assert client.answer()[::2] == (200, b"10000000")
        client.send(get("/hello"))
        assert client.status() == 200


def test_a_client_that_asks_first_is_told_to_continue_or_not(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/stream", "Content-Length: 2", "Expect: 100-continue", method="POST"))
        assert client.status() == 100
        client.send(b"ab")
        assert client.answer()[::2] == (200, b"2")
        client.send(get("/stream", "Content-Length: 20000000", "Expect: 100-continue", method="POST"))
        assert client.status() == 413
        assert client.is_closed()


@pytest.mark.parametrize("length", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_not_waited_for(server: Opa, length: str) -> None:
    with Raw(server.port) as client:
        client.send(get("/stream", length, method="POST"), b"1\r\n")
        assert client.status() == 408
        assert client.is_closed()


def test_a_route_may_take_more_and_may_be_patient(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(post("/import", b"x" * 40 * MB))
        assert client.answer()[::2] == (200, b"40000000")
        client.send(get("/import", "Content-Length: 50000001", method="POST"))
        assert client.status() == 413
    assert server.get("/patient?seconds=6") == "done"


def form(size: int) -> tuple[bytes, str]:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return head + b"x" * size + b"\r\n--b--\r\n", "Content-Type: multipart/form-data; boundary=b"


def test_a_file_of_20_mb_is_taken_by_a_route_for_files_and_no_other(server: Opa) -> None:
    before = resident(server)
    body, kind = form(20 * MB)
    with Raw(server.port) as client:
        client.send(post("/upload", body, kind))
        assert client.answer()[::2] == (200, b"20000000")
    assert resident(server) - before < 50
    for path in ("/json", "/stream", "/nothing-here"):
        with Raw(server.port) as client:
            client.send(post(path, body, kind))
            assert client.status() in (413, 404)
    with Raw(server.port) as client:
        client.send(get("/upload", kind, "Content-Length: 110000000", method="POST"))
        assert client.status() == 413


def test_a_body_that_no_route_reads_is_not_taken_for_ever(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/unread", "Transfer-Encoding: chunked", method="POST"))
        assert client.status() == 200
        assert client.send_all_of(chunk(b"x" * MB) for _ in range(500)) < 500 * MB


def test_a_body_that_no_route_reads_and_that_drips_is_not_waited_for(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/unread", "Transfer-Encoding: chunked", method="POST"))
        assert client.status() == 200
        wait_until(lambda: not client.send(chunk(b"x")), what="the server closes the connection")


def test_a_small_body_that_no_route_reads_leaves_the_connection_in_use(server: Opa) -> None:
    with Raw(server.port) as client:
        for _ in range(3):
            client.send(post("/unread", b"x" * MB))
            assert client.status() == 200


def test_trailers_do_not_become_headers(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/headers", "Transfer-Encoding: chunked", method="POST"))
        client.send(chunk(b"a"), b"0\r\nX-User: admin\r\n\r\n")
        status, _, body = client.answer()
        assert (status, json.loads(body)) == (200, ["host", "transfer-encoding"])


@pytest.mark.parametrize("what", [b"1;", b"0\r\nX: "], ids=["extensions of chunks", "trailers"])
def test_extensions_of_chunks_and_trailers_are_limited(server: Opa, what: bytes) -> None:
    before = resident(server)
    with Raw(server.port) as client:
        client.send(get("/stream", "Transfer-Encoding: chunked", method="POST"), chunk(b"a"), what)
        client.send_all_of(b"x" * MB for _ in range(50))
        with contextlib.suppress(ConnectionResetError):
            assert client.status() == 431
    assert resident(server) - before < 50


# Time.


def test_an_answer_that_does_not_begin_is_not_waited_for(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hangs", "Origin: http://page.example"))
        status, headers, body = client.answer()
        assert (status, json.loads(body)["detail"]) == (503, "the request took too long")
        assert headers["access-control-allow-origin"] == "http://page.example"
        assert headers["retry-after"]
        assert client.is_closed()
    wait_until(lambda: "it was cancelled" in server.log)


def test_a_request_that_hangs_ends_in_its_turn(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/slow?seconds=1") + get("/hangs") + get("/hello"))
        assert client.answer()[2] == b'"done"'
        assert client.status() == 503
        assert client.is_closed()


def test_a_body_that_takes_its_time_is_no_slow_answer(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/import", "Content-Length: 9", method="POST"))
        for _ in range(9):
            time.sleep(0.6)
            client.send(b"x")
        assert client.answer()[::2] == (200, b"9")


def test_a_client_that_leaves_is_noticed_by_the_request_that_is_worked_on(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/events") + get("/hello"))
        assert client.socket.recv(10)
        before = server.log.count("Traceback")
    assert server.get("/hello") == "hello"
    assert server.log.count("Traceback") == before


def test_an_unsupported_upgrade_is_ignored(server: Opa) -> None:
    with Raw(server.port) as client:
        for _ in range(20):
            client.send(get("/hello", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
            assert client.answer()[2] == b'"hello"'
    assert server.log.count("an upgrade to something other") < 3


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")


@pytest.mark.parametrize("together", [True, False], ids=["in one packet", "in two"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "length"])
def test_the_body_of_an_unsupported_upgrade_is_read(server: Opa, together: bool, chunked: bool) -> None:
    inner = get("/hello")
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(inner)}"
    head = get("/stream", *H2C, length, method="POST")
    body = chunk(inner) + b"0\r\n\r\n" if chunked else inner
    with Raw(server.port, timeout=8) as client:
        for _ in range(2):
            if together:
                client.send(head + body)
            else:
                client.send(head)
                time.sleep(0.2)  # a packet of its own
                client.send(body)
            assert client.answer()[::2] == (200, str(len(inner)).encode())
        client.send(get("/unread", method="PUT"))  # the body was no request: this is the next answer
        assert client.status() == 405


def test_requests_after_an_unsupported_upgrade_are_answered(server: Opa) -> None:
    with Raw(server.port, timeout=8) as client:
        client.send(get("/hello", *H2C) * 50 + post("/stream", b"x" * 300_000, *H2C) + get("/hello"))
        assert [client.answer()[2] for _ in range(52)] == [b'"hello"'] * 50 + [b"300000", b'"hello"']
        client.send(get("/hello", *H2C, "a: b", "a: b") + get("/hello", "Connection: close, Upgrade", "Upgrade: h2c"))
        assert [client.status() for _ in range(2)] == [200, 200]
        assert client.is_closed()


def test_an_unsupported_upgrade_has_the_usual_limits(server: Opa) -> None:
    for headers in (["a: b"] * 100, ["X: " + "x" * 70_000]):
        with Raw(server.port, timeout=8) as client:
            client.send(get("/hello", *H2C, *headers))
            assert client.status() == 431
    with Raw(server.port, timeout=8) as client:
        client.send(get("localhost:443", method="CONNECT"))
        assert client.status() == 400
        assert client.is_closed()


def test_an_answer_that_has_begun_continues_for_as_long_as_it_likes(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/events"))
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            part = client.socket.recv(65536)
            assert part, received
            received += part
        assert b"5\n" in received


def test_a_client_that_does_not_read_its_answer_is_left(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/endless"))
        wait_until(lambda: "a client did not read its answer" in server.log, seconds=30)


def test_a_client_that_does_not_read_its_last_answer_is_left_too(server: Opa) -> None:
    with Raw(server.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get("/large-refusal", "Transfer-Encoding: chunked", method="POST"), b"5\r\nab")
        wait_until(lambda: not client.send(b"x"), seconds=30, what="the server resets the connection")


def test_a_connection_is_kept_for_the_idle_time_and_no_longer(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello"))
        assert client.status() == 200
        time.sleep(2.5)  # longer than headers may take
        client.send(get("/hello"))
        assert client.status() == 200
        assert client.is_closed()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_old_clients_and_those_that_want_no_body_are_answered(server: Opa, method: str) -> None:
    with Raw(server.port) as client:
        client.send(get("/hello", version="1.0", method=method))
        received = b""
        while part := client.socket.recv(65536):
            received += part
        allowed = b"200 OK" if method == "GET" else b"405 "
        assert received.startswith(b"HTTP/1.1 " + allowed)
        assert received.endswith(b'"hello"' if method == "GET" else b"\r\n\r\n")


def test_a_process_that_was_held_up_does_not_blame_its_clients(opa: Opa) -> None:
    start(opa, OPA_REQUEST_TIMEOUT="5", OPA_IDLE_TIMEOUT="5")
    (worker,) = opa.children()
    with Raw(opa.port) as slow, Raw(opa.port) as idle:
        idle.send(get("/hello"))
        assert idle.status() == 200
        slow.send(get("/slow?seconds=9"))
        time.sleep(1.5)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(7)
        os.kill(worker, signal.SIGCONT)
        idle.send(get("/hello"))
        assert idle.status() == 200
        assert slow.answer()[2] == b'"done"'


# Websockets.


def test_a_message_that_is_too_large_ends_its_websocket(server: Opa) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None) as socket:
        socket.send("x" * 1_000_000)
        assert socket.recv() == "1000000"
        socket.send("x" * 1_100_000)
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_ten_thousand_messages_at_once_all_arrive(server: Opa) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws") as socket, ThreadPoolExecutor(1) as pool:

        def send_all() -> None:
            for number in range(10_000):
                socket.send("x" * (number % 7))

        sending = pool.submit(send_all)
        assert [socket.recv() for _ in range(10_000)] == [str(number % 7) for number in range(10_000)]
        sending.result()


WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Length: 5", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Cookie: " + "x" * 9000, 431),
        ("Cookie: " + "x" * 7000, 101),
    ],
    ids=["body", "chunks", "long line", "shorter line"],
)
def test_a_handshake_that_cannot_be_read_is_told_so_and_closed(server: Opa, header: str, status: int) -> None:
    with Raw(server.port, timeout=8) as client:
        client.send(get("/ws", *WEBSOCKET, header))
        assert client.status() == status
        if status != 101:
            assert client.is_closed()


def test_the_client_of_a_websocket_that_reads_nothing_is_left(server: Opa) -> None:
    with Raw(server.port) as client:
        client.send(get("/flood", *WEBSOCKET))
        assert client.status() == 101
        wait_until(lambda: "the client of a websocket did not read" in server.log, seconds=30)
        wait_until(lambda: "the flood is over" in server.log, seconds=30)


def test_a_stop_is_orderly_with_a_websocket_and_a_handshake_that_failed(opa: Opa) -> None:
    start(opa, OPA_GRACEFUL_TIMEOUT="2")
    with Raw(opa.port) as kept, Raw(opa.port) as failed, Raw(opa.port) as socket:
        for _ in range(2):
            kept.send(get("/hello"))
            assert kept.status() == 200
        failed.send(get("/ws", *WEBSOCKET, "Content-Length: 5"))
        socket.send(get("/ws", *WEBSOCKET))
        assert socket.status() == 101
        assert opa.stop() == 0
        assert socket.is_closed()
        assert kept.is_closed()
        assert failed.answer()[0] == 400
    assert "Traceback" not in opa.log


# The log.


def test_an_attack_makes_a_few_lines_of_the_log(opa: Opa) -> None:
    start(opa)
    for _ in range(50):
        with Raw(opa.port) as client:
            client.send(b"not http\r\n\r\n")
            assert client.status() == 400
        with Raw(opa.port) as client:
            client.send(get("/json", "Content-Length: 300000000", method="POST"))
            assert client.status() == 413
    assert len(re.findall("refused: a request was not HTTP", opa.log)) < 5
    assert len(re.findall("refused: .*MAX_BODY_BYTES", opa.log)) < 5
    wait_until(lambda: re.search(r"MAX_BODY_BYTES \(413\) \(\d+ times", opa.log), seconds=30)
    assert "Traceback" not in opa.log


# How much at once.


def test_requests_beyond_the_limit_are_refused_and_health_is_answered(opa: Opa) -> None:
    start(opa, OPA_MAX_REQUESTS="50", OPA_ALLOW_ORIGINS="http://page.example")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(opa.port)) for _ in range(200)]
        for client in clients:
            client.send(get("/slow?seconds=3", "Origin: http://page.example"))
        assert opa.get("/healthz") == {"status": "ok"}
        answers = [client.answer() for client in clients]
        assert sorted({status for status, _, _ in answers}) == [200, 503]
        assert sum(status == 200 for status, _, _ in answers) == 50
        assert all(headers["retry-after"] for status, headers, _ in answers if status == 503)
        assert {headers["access-control-allow-origin"] for _, headers, _ in answers} == {"http://page.example"}
        for client in clients[:40]:  # their connections are in use as before
            client.send(get("/hello"))
            assert client.status() == 200
    assert "refused: more requests in flight than MAX_REQUESTS" in opa.log


def test_connections_beyond_the_limit_are_refused_where_all_are_busy(opa: Opa) -> None:
    start(opa, OPA_MAX_CONNECTIONS="10")
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(Raw(opa.port)) for _ in range(10)]
        for client in busy:
            client.send(get("/slow?seconds=8"))
        wait_until(lambda: is_refused(opa))
        with Raw(opa.port) as other:
            other.send(get("/hello"))
            status, headers, _ = other.answer()
            assert (status, headers["connection"]) == (503, "close")
            assert headers["retry-after"]
        assert opa.get("/healthz") == {"status": "ok"}
        assert [client.status() for client in busy] == [200] * 10
        wait_until(lambda: not is_refused(opa))  # one that is idle makes room
    assert "MAX_CONNECTIONS" in opa.log


def test_an_answer_that_is_still_being_read_is_not_cut_off_to_make_room(opa: Opa) -> None:
    start(opa, OPA_MAX_CONNECTIONS="1")
    with Raw(opa.port) as reader:
        reader.send(get("/large"))
        assert reader.socket.recv(10)
        for _ in range(5):
            with Raw(opa.port) as other:
                other.send(get("/hello"))
                assert other.status() == 503
            time.sleep(0.3)  # so that it looks for idle ones again
        size = 10
        while size < 20_000_000:
            part = reader.socket.recv(1_000_000)
            assert part, size
            size += len(part)


def is_refused(opa: Opa) -> bool:
    try:
        opa.get("/hello")
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    return False


@pytest.mark.parametrize("said", [b"", b"GET /hello HTTP/1.1\r\n"], ids=["silent", "half a request"])
def test_1100_silent_connections_with_1024_open_files_do_not_keep_others_out(opa: Opa, said: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    opa.plugin("routes.py", ROUTES)
    opa.start(WEB_CONCURRENCY="1", OPA_HEADER_TIMEOUT="60")
    assert opa.process is not None
    resource.prlimit(opa.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    opa.wait_until_ready()
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(Raw(opa.port))
        kept.send(get("/hello"))
        assert kept.status() == 200
        for _ in range(1100):
            stack.enter_context(Raw(opa.port)).send(said)
        for _ in range(20):
            assert opa.get("/hello") == "hello"
        kept.send(get("/hello"))
        assert kept.status() == 200
    assert opa.log.count("refused: more connections than MAX_CONNECTIONS or the limit of open files") == 1
    assert opa.stop() == 0


def test_as_many_files_may_be_open_as_the_system_allows(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="1")
    assert opa.process is not None
    resource.prlimit(opa.process.pid, resource.RLIMIT_NOFILE, (256, 2048))
    opa.wait_until_ready()
    (worker,) = opa.children()
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (2048, 2048)


def test_a_process_whose_files_are_all_open_says_so_and_comes_back(opa: Opa) -> None:
    opa.plugin(
        "hoard.py",
        """
        import asyncio
        import os

        from opa import get_router

        router = get_router()
        hoard = []


        @router.get("/hoard")
        async def hoard_all():
            asyncio.get_running_loop().call_later(6, free)
            try:
                while True:
                    hoard.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return len(hoard)


        def free():
            while hoard:
                os.close(hoard.pop())
        """,
    )
    opa.start(WEB_CONCURRENCY="1")
    assert opa.process is not None
    resource.prlimit(opa.process.pid, resource.RLIMIT_NOFILE, (256, 256))
    opa.wait_until_ready()
    with Raw(opa.port) as client:
        client.send(get("/hoard"))
        assert client.status() == 200
        wait_until(lambda: "no more files can be opened" in opa.log)
        (worker,) = opa.children()
        before = processor_time(worker)
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    stack.enter_context(Raw(opa.port))
            time.sleep(2)
        assert processor_time(worker) - before < 1
    wait_until(lambda: opa.answers("/healthz"))
    assert opa.log.count("no more files can be opened") < 3
    assert opa.stop() == 0

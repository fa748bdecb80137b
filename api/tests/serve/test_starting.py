"""What a process that starts says of what it waits for, and to whom."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from opa.healthcheck import check_web
from tests.serve.process import Opa, free_port, wait_until
from tests.serve.raw import Raw, get
from tests.serve.test_operating import ask

WAITS = """
import asyncio, threading, time
from pathlib import Path

from opa import get_router, waiting_for

router = get_router()


def wait_for(file):
    while not Path(file).exists():
        time.sleep(0.02)


def ready():
    with waiting_for("the index of redis://:letmein@shop") as say:
        wait_for("first")
        say("the index: 1 of 2")
        wait_for("second")
    wait_for("third")
    say("nobody is told of this any more")


@router.get("/again")
async def again(until: str):
    with waiting_for("what is no start"):
        while not Path(until).exists():
            await asyncio.sleep(0.02)
    return "done"
"""


def starting(port: int, path: str = "/readyz") -> str | None:
    """What it waits for, where it says that it starts."""
    status, body = ask(port, path)
    if status != 503:
        return None
    answer = json.loads(body)
    assert answer.pop("status") == "starting"
    return str(answer.get("waiting_for", ""))


def assert_a_page_can_read_that_it_starts(port: int) -> None:
    page = "Origin: http://shop.test"
    with Raw(port) as client:
        for question, expected in (
            (get("/again", page), 503),
            (get("/readyz", page), 503),
            (get("/healthz", page), 200),
            (get("/again", page, "Access-Control-Request-Method: GET", method="OPTIONS"), 200),
        ):
            client.send(question)
            status, headers, _ = client.answer()
            assert (status, headers.get("access-control-allow-origin")) == (expected, "http://shop.test")


def test_a_process_that_waits_in_its_start_says_for_what_and_lets_no_request_through(opa: Opa) -> None:
    opa.plugin("index.py", WAITS)
    file = opa.folder / "health.json"
    opa.start(
        HEALTH_FILE=str(file), OPA_OPENAPI_PREFIX="/api", WEB_CONCURRENCY="1", OPA_ALLOW_ORIGINS="http://shop.test"
    )
    wait_until(lambda: starting(opa.port) == "the index of redis://:***@shop", what=lambda: opa.log)
    assert_a_page_can_read_that_it_starts(opa.port)
    assert starting(opa.port, "/api/readyz") == "the index of redis://:***@shop"
    assert ask(opa.port, "/healthz") == (200, '{"status":"ok"}')
    for path in ("/again?until=first", "/docs", "/api/again", "/nowhere"):
        assert ask(opa.port, path) == (503, '{"detail":"the application is starting"}')
    assert check_web(json.loads(file.read_text())) == "api: it waits: the index of redis://:***@shop"
    early = Raw(opa.port)
    (opa.folder / "first").touch()
    wait_until(lambda: starting(opa.port) == "the index: 1 of 2")
    (opa.folder / "second").touch()
    # What says nothing is a start as ever: whoever connects waits for it.
    wait_until(lambda: "reason" not in json.loads(file.read_text()))
    with socket.create_connection(("127.0.0.1", opa.port), timeout=30) as patient:
        patient.sendall(get("/again?until=third", "Connection: close"))
        early.send(get("/readyz"))
        status, _, body = early.answer()
        assert (status, body) == (503, b'{"status":"starting"}')
        (opa.folder / "third").touch()
        answer = b""
        while more := patient.recv(4096):
            answer += more
    assert b"200 OK" in answer
    assert answer.endswith(b'"done"')
    early.socket.close()
    opa.wait_until_ready()


def test_on_a_port_of_its_own_readiness_tells_of_the_start_until_it_has_ended(opa: Opa, tmp_path: Path) -> None:
    opa.plugin("index.py", WAITS)
    port = free_port()
    opa.start(OPA_OPERATING_PORT=str(port), WEB_CONCURRENCY="1")
    wait_until(lambda: starting(port) == "the index of redis://:***@shop", what=lambda: opa.log)
    assert ask(port, "/healthz")[0] == 200
    assert ask(port, "/again")[0] == 404
    (opa.folder / "first").touch()
    (opa.folder / "second").touch()
    wait_until(lambda: starting(port) == "")
    (opa.folder / "third").touch()
    wait_until(lambda: ask(port, "/readyz")[0] == 200, what=lambda: opa.log)
    assert ask(opa.port, "/again?until=first") == (200, '"done"')
    # Once it serves, what waits is no start.
    with socket.create_connection(("127.0.0.1", opa.port), timeout=30) as client:
        client.sendall(get("/again?until=fourth", "Connection: close"))
        assert ask(port, "/readyz")[0] == 200
        assert ask(opa.port, "/again?until=first") == (200, '"done"')
        (opa.folder / "fourth").touch()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("has_own_port", [False, True])
def test_a_process_that_takes_the_place_of_another_refuses_nothing_that_the_others_answer(
    opa: Opa, has_own_port: bool
) -> None:
    opa.plugin(
        "index.py",
        """
        import time
        from pathlib import Path
        from opa import get_router, log, waiting_for

        router = get_router()
        router.get("/hello")(lambda: "hello")

        def ready():
            with waiting_for("the index"):
                while Path("hold").exists():
                    Path("waits").touch()
                    time.sleep(0.02)
        """,
    )
    port = free_port() if has_own_port else opa.port
    file = opa.folder / "health.json"
    own = {"OPA_OPERATING_PORT": str(port)} if has_own_port else {}
    opa.start(WEB_CONCURRENCY="2", HEALTH_FILE=str(file), **own)
    wait_until(lambda: opa.log.count("Application startup complete") == 2, what=lambda: opa.log)
    (opa.folder / "hold").touch()
    os.kill(opa.children()[-1], signal.SIGKILL)
    wait_until((opa.folder / "waits").exists, what=lambda: opa.log)
    found = {ask(opa.port, "/hello") for _ in range(30)} | {ask(port, "/readyz")[:1] for _ in range(30)}
    assert found == {(200, '"hello"'), (200,)}
    assert check_web(json.loads(file.read_text())) == ""
    (opa.folder / "hold").unlink()
    wait_until(lambda: len(opa.children()) == 2)
    assert opa.stop() == 0

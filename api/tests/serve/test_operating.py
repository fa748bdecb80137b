"""The operating routes on a port of their own: OPERATING_PORT."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import opa as package
from opa.process.listen import listening_socket
from opa.serve.operating import MOST_CONNECTIONS
from tests import programs
from tests.no_answer import NO_ANSWER
from tests.serve.process import Opa, free_port, wait_until
from tests.serve.raw import Raw, get

SLOW = """
import asyncio
from pathlib import Path

from opa import get_router, log

router = get_router()


@router.get("/slow")
async def slow(until: str):
    log.info("slow begins")
    while not Path(until).exists():
        await asyncio.sleep(0.05)
    return "done"


@router.get("/{path:path}")
async def any_path(path: str):
    return "a plugin's"
"""


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 where nothing answers."""
    try:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
    except NO_ANSWER:
        return 0, ""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(opa: Opa, port: int) -> Callable[..., None]:
    def begin(**environ: str) -> None:
        opa.start(OPA_OPERATING_PORT=str(port), **environ)
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what=lambda: opa.log)

    return begin


def test_health_and_readiness_are_there_and_on_the_port_of_the_api_no_more(
    opa: Opa, port: int, start: Callable[..., None], tmp_path: Path
) -> None:
    opa.hello()
    file = str(tmp_path / "health.json")
    start(WEB_CONCURRENCY="2", OPA_TRUSTED_HOSTS="api.example", HEALTH_FILE=file)

    assert ask(port, "/healthz") == (200, '{"status":"ok"}')
    assert json.loads(ask(port, "/readyz")[1])["plugins_loaded"] == 1
    assert ask(port, "/hello")[0] == 400, "it is a path like any other, and the host is another one"
    with Raw(port) as connection:
        for path, status in (("/hello", 404), ("/healthz/", 404), ("/healthz?x=1", 200)):
            connection.send(f"GET {path} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode())
            assert connection.status() == status
    for path in ("/healthz", "/readyz"):
        with Raw(opa.port) as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode())
            assert connection.status() == 404
        assert ask(opa.port, path)[0] == 400, "nor is it exempt from TRUSTED_HOSTS there"
    script = str(Path(package.__file__).with_name("healthcheck.py"))
    command = [sys.executable, "-I", script]
    environ = {"HEALTH_FILE": file}
    assert subprocess.run(command, env=environ, check=False, timeout=60).returncode == 0
    assert opa.stop() == 0
    assert ask(port, "/healthz")[0] == 0


def test_it_answers_whoever_holds_the_port_of_the_api_and_has_limits_itself(
    opa: Opa, port: int, start: Callable[..., None]
) -> None:
    opa.hello()
    start(WEB_CONCURRENCY="1", OPA_MAX_CONNECTIONS="100", OPA_MAX_HEADERS="20", OPA_HEADER_TIMEOUT="60")

    with ExitStack() as open_ones:
        silent = [open_ones.enter_context(Raw(opa.port)) for _ in range(200)]
        assert ask(port, "/healthz")[0] == 200
        for connection in silent:
            connection.send(b"GET /hello HTTP/1.1\r\n")
        assert ask(port, "/readyz")[0] == 200
    with Raw(port) as connection:
        connection.send(get("/healthz", *(f"X-{number}: 1" for number in range(30))))
        assert connection.status() == 431
    with ExitStack() as open_ones:
        silent = [open_ones.enter_context(Raw(port)) for _ in range(MOST_CONNECTIONS + 20)]
        assert ask(port, "/healthz")[0] == 200
        assert silent[0].is_closed(), "whoever says nothing takes the places of their own"


LARGE_METRICS = """
from prometheus_client import REGISTRY, Metric


class Large:
    def describe(self):
        return []

    def collect(self):
        yield Metric("large", "x" * 6_000_000, "gauge")


REGISTRY.register(Large())
"""


def test_who_does_not_read_the_metrics_does_not_keep_a_health_check_from_its_answer(
    opa: Opa, port: int, start: Callable[..., None]
) -> None:
    opa.plugin("large.py", LARGE_METRICS)
    start(WEB_CONCURRENCY="1", OPA_METRICS="true")
    with ExitStack() as open_ones:
        for _ in range(200):
            connection = open_ones.enter_context(Raw(port))
            with suppress(OSError):
                connection.send(get("/metrics"))
        wait_until(lambda: "more connections than MAX_CONNECTIONS" in opa.log, what=lambda: opa.log)
        wait_until(lambda: ask(port, "/healthz")[0] == 200, seconds=30)
    assert ask(port, "/metrics")[0] == 200


@pytest.mark.parametrize("variables", [{"WEB_CONCURRENCY": "1"}, {"OPA_DEBUGPY": "true", "OPA_DEBUGPY_PORT": "0"}])
def test_while_requests_end_it_is_alive_and_not_ready(
    opa: Opa, port: int, start: Callable[..., None], variables: dict[str, str], tmp_path: Path
) -> None:
    opa.plugin("slow.py", SLOW)
    start(**variables)
    assert ask(opa.port, "/healthz") == (200, '"a plugin\'s"'), "the path is free for plugins"

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(opa.get, f"/slow?until={tmp_path / 'end'}", timeout=60)
        wait_until(lambda: "slow begins" in opa.log)
        assert opa.process is not None
        opa.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(port, "/readyz") == (503, '{"status":"stopping"}'), what=lambda: opa.log)
        assert not answer.done()
        assert ask(port, "/healthz")[0] == 200
        (tmp_path / "end").touch()
        assert answer.result() == "done"
    assert opa.process.wait(30) == 0


def test_a_process_that_is_replaced_says_nothing_of_the_others(
    opa: Opa, port: int, start: Callable[..., None], tmp_path: Path
) -> None:
    opa.plugin("slow.py", SLOW)
    start(WEB_CONCURRENCY="1")

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(opa.get, f"/slow?until={tmp_path / 'end'}", timeout=60)
        wait_until(lambda: "slow begins" in opa.log)
        assert opa.process is not None
        opa.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Waiting for connections to close" in opa.log, what=lambda: opa.log)
        assert {ask(port, "/readyz")[0] for _ in range(20)} == {200}
        assert not answer.done()
        (tmp_path / "end").touch()
        assert answer.result() == "done"
    assert opa.stop() == 0


def test_without_the_setting_nothing_of_it_is_imported(tmp_path: Path) -> None:
    imported = "import sys, opa.serve.gunicorn, opa.http.builder; print([m for m in sys.modules if 'operating' in m])"

    done = programs.run([sys.executable, "-c", imported], cwd=tmp_path, fresh=True)

    assert done.stdout == "[]\n"


def test_a_port_that_is_taken_is_one_line(opa: Opa) -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        taken = listener.getsockname()[1]
        assert opa.run_to_end(OPA_OPERATING_PORT=str(taken)) == 1
    last = opa.log.splitlines()[-1]
    assert last.startswith(f"error: cannot listen on 127.0.0.1:{taken}: ")
    assert "(settings OPERATING_HOST and OPERATING_PORT). " in last
    assert last.endswith("set OPA_OPERATING_PORT to another port")

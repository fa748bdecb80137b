"""Production: gunicorn with uvicorn workers, started by `opa start`."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

from opa.process.listen import listening_socket
from opa.serve.server import MAX_DRAIN
from tests.serve.load import Load
from tests.serve.process import Opa, free_port, is_running, wait_until

SLOW = """
import asyncio
import time
from typing import Annotated, Any

from opa import Component, Driver, get_router, log

router = get_router()


@router.get("/slow")
async def slow(seconds: float):
    log.info("slow begins")
    await asyncio.sleep(seconds)
    return "done"


@router.get("/slow-def")
def slow_def(seconds: float):
    log.info("slow begins")
    time.sleep(seconds)
    return "done"


class Own(Driver):
    name = "own"

    def connect(self):
        self.instance = asyncio.Event()

    async def disconnect(self):
        self.instance.set()


@router.get("/slow-component")
async def slow_component(seconds: float, own: Annotated[Any, Component("own")]):
    log.info("slow begins")
    try:
        await asyncio.wait_for(own.wait(), seconds)
    except TimeoutError:
        return "done"
    return "the component was disconnected meanwhile"
"""
OWN = {"OPA_OPTIONAL_COMPONENTS__OWN": '@json {"LOAD": "yes", "DRIVER": "own", "OPTS": {}}'}


def test_as_many_workers_serve_as_web_concurrency_says(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="3")
    opa.wait_until_ready()
    wait_until(lambda: len(opa.children()) == 3)
    assert opa.get("/hello") == "world"
    assert opa.stop() == 0


def test_no_header_tells_which_server_it_is(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", opa.port)) as connection:
        connection.request("GET", "/hello")
        assert connection.getresponse().getheader("server") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_finish_when_it_is_told_to_stop(opa: Opa, number: int) -> None:
    opa.plugin("slow.py", SLOW)
    opa.start(WEB_CONCURRENCY="2", **OWN)
    opa.wait_until_ready()
    paths = ["/slow", "/slow-def", "/slow-component"] * 3
    with ThreadPoolExecutor(len(paths)) as pool:
        # Longer than what begins to stop goes on as before.
        answers = [pool.submit(opa.get, f"{path}?seconds={MAX_DRAIN + 1}") for path in paths]
        wait_until(lambda: opa.log.count("slow begins") == len(paths), what="all requests are in flight")
        assert opa.stop(number) == 0
        assert [answer.result() for answer in answers] == ["done"] * len(paths)


def test_a_request_that_takes_longer_than_the_graceful_timeout_does_not_hold_it_up(opa: Opa) -> None:
    opa.plugin("slow.py", SLOW)
    opa.start(WEB_CONCURRENCY="1", OPA_GRACEFUL_TIMEOUT="1")
    opa.wait_until_ready()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(opa.get, "/slow?seconds=60", timeout=70)
        wait_until(lambda: "slow begins" in opa.log)
        began = time.monotonic()
        assert opa.stop() == 0
        assert time.monotonic() - began < 25
        assert answer.exception() is not None


def test_components_disconnect_when_it_is_told_to_stop(opa: Opa) -> None:
    opa.plugin(
        "own_driver.py",
        """
        from opa import Driver, log


        class Own(Driver):
            name = "own"

            def connect(self):
                self.instance = object()

            async def disconnect(self):
                log.info("own disconnects")
        """,
    )
    opa.start(
        WEB_CONCURRENCY="2",
        OPA_OPTIONAL_COMPONENTS__OWN='@json {"LOAD": "yes", "DRIVER": "own", "OPTS": {}}',
    )
    opa.wait_until_ready()
    wait_until(lambda: opa.log.count("startup complete") == 2)
    assert opa.stop() == 0
    assert opa.log.count("own disconnects") == 2


def test_a_plugin_that_does_not_import_ends_it_with_one_line(opa: Opa) -> None:
    opa.plugin("broken.py", "import nothing_of_that_name\n")
    assert opa.run_to_end(WEB_CONCURRENCY="2") == 1
    assert len(re.findall(r"^error: .*broken", opa.log, re.MULTILINE)) == 1
    assert "nothing_of_that_name" in opa.log
    assert "gunicorn" not in opa.log


def test_a_component_that_must_connect_and_does_not_ends_it_with_one_line(opa: Opa) -> None:
    opa.hello()
    status = opa.run_to_end(
        WEB_CONCURRENCY="2",
        OPA_COMPONENT_CONNECT_TIMEOUT="1",
        OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD="yes",
        OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL=f"redis://:hush@127.0.0.1:{free_port()}",
    )
    assert status == 1
    assert len(re.findall(r"^error: component 'walrus' .*did not connect", opa.log, re.MULTILINE)) == 1
    assert "Traceback" not in opa.log
    assert "hush" not in opa.log


def test_workers_that_fail_at_the_same_moment_are_one_line_too(opa: Opa) -> None:
    opa.plugin(
        "failing.py",
        """
        import os
        import time

        from opa import Setup


        class Failing(Setup):
            def __init__(self):
                time.sleep(max(0, float(os.environ["MOMENT"]) - time.time()))
                raise RuntimeError("not today")
        """,
    )
    assert opa.run_to_end(WEB_CONCURRENCY="6", MOMENT=str(time.time() + 5)) == 1
    assert len(re.findall(r"^error: .*not today", opa.log, re.MULTILINE)) == 1
    assert "HaltServer" not in opa.log


def test_a_stop_while_components_are_connecting_ends_the_api(opa: Opa) -> None:
    opa.start(
        WEB_CONCURRENCY="2",
        OPA_COMPONENT_CONNECT_TIMEOUT="60",
        OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD="yes",
        OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL=f"redis://127.0.0.1:{free_port()}",
    )
    wait_until(lambda: opa.log.count("does not connect yet") >= 2, what="both workers try to connect")
    began = time.monotonic()
    assert opa.stop() == 0
    assert time.monotonic() - began < 25
    assert "Traceback" not in opa.log


def test_a_port_that_is_taken_ends_it_with_one_line(opa: Opa) -> None:
    with listening_socket("127.0.0.1", opa.port):
        assert opa.run_to_end() == 1
    assert len(re.findall(r"^error: cannot listen on", opa.log, re.MULTILINE)) == 1


def test_a_worker_that_is_killed_is_replaced(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    (worker,) = opa.children()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in opa.children() and opa.children())
    wait_until(lambda: opa.answers("/hello", "world"))
    assert opa.stop() == 0


def test_workers_end_with_their_master(opa: Opa) -> None:
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    (worker,) = opa.children()
    assert opa.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not is_running(worker))


@pytest.mark.parametrize(("setting", "lines"), [("true", 1), ("false", 0)])
def test_the_setting_decides_whether_requests_are_logged(opa: Opa, setting: str, lines: int) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="1", OPA_ACCESS_LOG=setting)
    opa.wait_until_ready()
    opa.get("/hello")
    assert opa.stop() == 0
    assert opa.log.count("GET /hello") == lines


def test_health_checks_that_go_well_are_not_logged_and_others_are(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="1", OPA_ACCESS_LOG="true", OPA_OPENAPI_PREFIX="/api")
    opa.wait_until_ready()
    opa.get("/healthz?from=outside")
    opa.get("/api/healthz")
    with pytest.raises(urllib.error.HTTPError):
        opa.get("/healthz/more")
    assert opa.stop() == 0
    assert [line for line in opa.log.splitlines() if "GET /" in line and "/healthz/more" not in line] == []
    assert opa.log.count("/healthz/more") == 1


@pytest.mark.parametrize("keep", [False, True], ids=["a connection for each request", "kept alive"])
def test_under_load_no_request_is_lost_when_it_is_told_to_stop(opa: Opa, keep: bool) -> None:
    """Clients get an answer, or no connection at all; none loses a request that it has sent."""
    opa.hello()
    opa.start(WEB_CONCURRENCY="2")
    opa.wait_until_ready()
    with Load("127.0.0.1", opa.port, "/hello", clients=8, keep=keep) as load:
        load.wait_for_answers(200)
        assert opa.stop() == 0
    assert not load.lost


def test_under_load_no_request_is_lost_when_its_workers_are_renewed(opa: Opa) -> None:
    opa.hello()
    opa.start(WEB_CONCURRENCY="2")
    opa.wait_until_ready()
    former = set(wait_until(lambda: len(opa.children()) == 2 and opa.children()))
    with Load("127.0.0.1", opa.port, "/hello", clients=8, keep=True) as load:
        load.wait_for_answers(100)
        assert opa.process is not None
        opa.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not former & set(opa.children()), what="new workers")
        load.wait_for_answers(100)
        assert opa.stop() == 0
    assert not load.lost


def test_a_signal_reaches_a_worker_that_was_only_just_forked(opa: Opa) -> None:
    opa.plugin("slow_fork.py", "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(1))\n")
    opa.start(WEB_CONCURRENCY="1")
    wait_until(lambda: opa.process is not None and opa.children(), what="the worker")
    assert opa.stop(seconds=15) == 0

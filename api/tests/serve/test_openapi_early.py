"""The OpenAPI document of a large application, built beside the workers while they start."""

from __future__ import annotations

import http.client
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opa.http.openapi.early import BUILDER_NICENESS, MANY_ROUTES
from tests.serve.process import Opa, is_running, wait_until

MANY = f"""
import os
import time
from pathlib import Path

from pydantic import BaseModel

from opa import get_router

router = get_router()


class Slow(BaseModel):
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema, handler):
        print("describing in", os.getpid(), flush=True)
        while Path("hold").exists():
            time.sleep(0.01)
        return handler(core_schema)


@router.post("/slow")
async def slow(body: Slow): ...


@router.get("/pid")
async def pid():
    return os.getpid()


for number in range({MANY_ROUTES}):
    @router.get(f"/r{{number}}/{{{{x}}}}", name=f"r{{number}}")
    async def route(x: int): ...
"""
BROKEN = """
from collections.abc import Callable
from typing import Annotated

from fastapi import Body

from opa import get_router

router = get_router()


@router.post("/broken")
def broken(body: Annotated[Callable[[], int], Body()]) -> None: ...
"""
SETUP = """
from opa import Setup

class Late(Setup):
    def __init__(self, app):
        {}
"""


def answer(opa: Opa, path: str = "/openapi.json") -> tuple[int, dict[str, str], Any]:
    """Status, headers and content from some worker."""
    with closing(http.client.HTTPConnection("127.0.0.1", opa.port, timeout=60)) as connection:
        connection.request("GET", path)
        got = connection.getresponse()
        return got.status, {name.lower(): value for name, value in got.getheaders()}, json.loads(got.read())


def of_each_worker(opa: Opa, count: int) -> list[tuple[int, dict[str, str], Any]]:
    """The answers of so many workers: of each at least one."""
    answers: list[tuple[int, dict[str, str], Any]] = []
    pids: set[bytes] = set()
    while len(pids) < count:
        with closing(http.client.HTTPConnection("127.0.0.1", opa.port, timeout=60)) as connection:
            connection.request("GET", "/pid")
            pids.add(connection.getresponse().read())
            connection.request("GET", "/openapi.json")  # on the same connection, and so from the same worker
            got = connection.getresponse()
            answers.append((got.status, dict(got.getheaders()), json.loads(got.read())))
    return answers


def builders(opa: Opa) -> list[int]:
    """Processes that build: they are nice to the workers."""
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + BUILDER_NICENESS, 19)  # there is no greater one
    return [pid for pid in opa.children() if is_running(pid) and os.getpriority(os.PRIO_PROCESS, pid) == niceness]


def hold(opa: Opa) -> Path:
    """As long as the file is there, no document is done."""
    file = opa.folder / "hold"
    file.touch()
    return file


def test_the_document_is_built_once_for_all_workers(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    opa.start(WEB_CONCURRENCY="3", OPA_LOGLEVEL="debug")
    opa.wait_until_ready()
    answers = of_each_worker(opa, 3)
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["etag"] for _, headers, _ in answers}) == 1
    assert set(answers[0][2]["paths"]) >= {"/slow", "/r0/{x}"}
    assert opa.log.count("describing in") == opa.log.count("OpenAPI document built in") == 1
    wait_until(lambda: len(opa.children()) == 3, what="the process that built it is gone")
    assert opa.stop() == 0


def test_an_early_request_for_the_document_waits_and_others_do_not(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    held = hold(opa)
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(answer, opa) for _ in range(3)]
        assert opa.get("/pid")
        assert not any(one.done() for one in asked)
        held.unlink()
        assert {one.result()[0] for one in asked} == {200}
    assert opa.log.count("describing in") == 1
    assert opa.stop() == 0


def test_a_worker_builds_the_document_when_the_process_that_builds_it_is_killed(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    held = hold(opa)
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    (builder,) = wait_until(lambda: builders(opa))
    wait_until(lambda: "describing in" in opa.log)
    os.kill(builder, signal.SIGKILL)
    held.unlink()
    assert answer(opa)[0] == 200
    assert "ended before it was done; this process builds it" in opa.log
    assert opa.log.count("describing in") == 2
    assert opa.stop() == 0


QUICK = """
import os
import time

forks = []


def wait_for_the_first():
    forks.append(0)
    if len(forks) == 1:
        # Ended, and still there for whoever asks how.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


os.register_at_fork(after_in_parent=wait_for_the_first)
"""


def test_nothing_of_it_stays_when_it_is_done_before_the_workers_start(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    opa.plugin("quick.py", QUICK)
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    assert len(opa.children()) == 1
    assert opa.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_when_it_is_stopped_while_it_builds(opa: Opa, number: int) -> None:
    opa.plugin("many.py", MANY)
    hold(opa)
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    (builder,) = wait_until(lambda: builders(opa))
    assert opa.stop(number) == (0 if number == signal.SIGTERM else -number)
    wait_until(lambda: not is_running(builder))


def test_a_change_by_a_setup_in_the_workers_is_in_the_document(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    change = "next(route for route in app.routes if getattr(route, 'path', '') == '/slow').summary = 'Changed'"
    opa.plugin("late.py", SETUP.format(change))
    opa.plugin("later.py", SETUP.format("app.state.anything = 1"))
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    assert answer(opa)[2]["paths"]["/slow"]["post"]["summary"] == "Changed"
    assert opa.log.count("describing in") == 2
    assert opa.stop() == 0


def test_a_route_that_cannot_be_described_is_in_the_log_once_and_500_from_each_worker(opa: Opa) -> None:
    opa.plugin("many.py", MANY)
    opa.plugin("broken.py", BROKEN)
    opa.start(WEB_CONCURRENCY="2")
    opa.wait_until_ready()
    for status, _, content in of_each_worker(opa, 2):
        assert status == 500
        assert "cannot be built for the route POST /broken: Pydantic" in content["detail"]
    assert opa.log.count("cannot be built for the route POST /broken") == 1
    assert opa.stop() == 0


@pytest.mark.parametrize("settings", [{"OPA_OPENAPI_EARLY": "false"}, {"OPA_PRELOAD": "false"}], ids=str)
def test_without_openapi_early_nothing_is_built_before_a_request(opa: Opa, settings: dict[str, str]) -> None:
    opa.plugin("many.py", MANY)
    opa.start(WEB_CONCURRENCY="1", **settings)
    opa.wait_until_ready()
    assert len(opa.children()) == 1
    assert "describing in" not in opa.log
    assert answer(opa)[0] == 200
    assert opa.stop() == 0

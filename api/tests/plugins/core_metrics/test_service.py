"""The metrics of real services: api processes and workers under load, some of which are killed."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.no_answer import NO_ANSWER
from tests.plugins.core_metrics.plugin_parts import GREETING, ODD_ROUTES
from tests.plugins.core_metrics.prometheus import Scrape, is_there, scrape, went_down
from tests.project import Project
from tests.serve.process import Opa, free_port, is_running, opa_in, wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, task_project

CONNECTIONS = 6
PLUGIN = (
    """
import asyncio
import os

from fastapi import WebSocket
from prometheus_client import Counter, Gauge, Histogram, Info

from opa import Hook, HookDefinition, call_hook, get_router

HELLOS = Counter("hellos", "Hellos.", ["who"])
OPEN = Gauge("doors", "Open doors.", multiprocess_mode="livesum")
EACH = Gauge("each", "One for each process.")
SIZES = Histogram("sizes", "Sizes.", buckets=(1, 10))
ABOUT = Info("about", "About.")
ABOUT.info({"made_by": "us"})

router = get_router()


"""
    + GREETING
    + """

@router.get("/hello/{who}")
async def hello(who: str):
    await asyncio.sleep(0.001)
    HELLOS.labels("visitor").inc()
    SIZES.observe(5)
    OPEN.set(3)
    EACH.set(1)
    return call_hook("greeting")


@router.get("/pid")
async def pid():
    return os.getpid()


leave = asyncio.Event()


@router.get("/stay")
async def stay():
    await leave.wait()


@router.get("/leave")
async def leave_now():
    leave.set()


@router.websocket("/stay")
async def stay_connected(websocket: WebSocket):
    await websocket.accept()
    await leave.wait()
    await websocket.close()


"""
    + ODD_ROUTES
)


class Load:
    """Requests on some connections until it is told to stop."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(connections)
        self._threads = [self._pool.submit(self._send) for _ in range(connections)]

    def _send(self) -> tuple[int, int]:
        answered = lost = 0
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            try:
                connection.request("GET", f"/hello/{answered}")
                with closing(connection.getresponse()) as answer:
                    answer.read()
                    assert answer.status == 200
                answered += 1
            except NO_ANSWER:
                lost += 1
                connection.close()
        connection.close()
        return answered, lost

    def end(self) -> tuple[int, int]:
        """How many requests were answered, and how many not."""
        self._stop.set()
        found = [thread.result() for thread in self._threads]
        self._pool.shutdown()
        return sum(answered for answered, _ in found), sum(lost for _, lost in found)


def requests(found: Scrape, **labels: str) -> float:
    return found.sum("opa_http_request_duration_seconds_count", **labels)


@pytest.fixture
def opa(tmp_path: Path) -> Iterator[Opa]:
    with opa_in(tmp_path) as opa:
        opa.plugin("greeter.py", PLUGIN)
        yield opa


def test_sums_of_two_api_processes_agree_with_the_load_and_never_go_down_when_one_is_killed(opa: Opa) -> None:
    port = free_port()
    opa.start(OPA_METRICS="true", OPA_OPERATING_PORT=str(port), WEB_CONCURRENCY="2")
    wait_until(lambda: opa.answers("/pid") and is_there(port), what=lambda: opa.log)
    load = Load(opa.port, connections=CONNECTIONS)
    wait_until(lambda: requests(scrape(port), route="/hello/{who}") > 200, what=lambda: opa.log)
    pids: set[int] = set()

    def both_serve() -> bool:
        pids.update(opa.get("/pid") for _ in range(20))
        return len(pids) == 2 and scrape(port).sum("opa_processes") == 2

    wait_until(both_serve, what=lambda: opa.log)
    before = scrape(port)
    victim = pids.pop()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_running(victim))
    count = requests(before, route="/hello/{who}")
    found = [before]

    def goes_on() -> bool:
        found.append(scrape(port))
        assert went_down(found[-2], found[-1]) == []
        return requests(found[-1], route="/hello/{who}") > count + 500 and found[-1].sum("opa_processes") == 2

    wait_until(goes_on, what=lambda: opa.log)
    answered, lost = load.end()
    greeted = {"route": "/hello/{who}", "plugin": "greeter", "method": "GET", "status": "200"}
    # A request is counted when it is answered: of those of the killed process, one a connection, some are lost, and
    # some are answered and not counted. The last of the others are counted by a process that may not be the one asked.
    assert lost <= CONNECTIONS
    least = answered - (CONNECTIONS - lost)
    wait_until(lambda: requests(scrape(port), **greeted) >= least, what=lambda: f"{answered} and {lost}\n{opa.log}")
    last = scrape(port)

    assert requests(last, **greeted) <= answered + lost
    # One of these is counted before the answer, which the killed one may have had no time for.
    for name in ("hellos_total", "sizes_count", "opa_hook_calls_total"):
        labels = {"hook": "greeting"} if name == "opa_hook_calls_total" else {}
        assert answered <= last.sum(name, **labels) <= answered + lost
    alive = last.values("each", "pid")
    assert last.sum("doors") == 3 * last.sum("each") > 0
    assert alive <= {str(pid) for pid in opa.children()}, "that of the killed process is gone"
    assert last.sum("about_info", made_by="us") == 1

    folders = [path for path in Path("/dev/shm").glob("opa-metrics-*") if (path / "ended.json").exists()]
    mine = next(path for path in folders if {file.name.partition("-")[0] for file in path.glob("*.cells")} & alive)
    assert len(list(mine.glob("*.cells"))) == 2, "that of the killed process is put together with others"
    opa.stop()
    assert not mine.exists()


def test_requests_and_websockets_that_go_on_are_shown_apart(opa: Opa) -> None:
    port = free_port()
    opa.start(OPA_METRICS="true", OPA_OPERATING_PORT=str(port), WEB_CONCURRENCY="1")
    wait_until(lambda: opa.answers("/pid") and is_there(port), what=lambda: opa.log)

    def go_on(requests: int, websockets: int) -> bool:
        found = scrape(port)
        in_flight, is_open = found.sum("opa_http_requests_in_flight"), found.sum("opa_websockets_open")
        return (in_flight, is_open) == (requests, websockets)

    with ThreadPoolExecutor(5) as pool, ExitStack() as websockets:
        held = [pool.submit(opa.get, "/stay", timeout=60) for _ in range(5)]
        for _ in range(2):
            websockets.enter_context(connect(f"ws://127.0.0.1:{opa.port}/stay"))
        wait_until(lambda: go_on(5, 2), what=lambda: opa.log)
        opa.get("/leave")
        for each in held:
            assert each.result() is None
        wait_until(lambda: go_on(0, 0), what=lambda: opa.log)


def test_unknown_paths_methods_and_errors_make_few_series(opa: Opa) -> None:
    port = free_port()
    opa.start(OPA_METRICS="true", OPA_OPERATING_PORT=str(port), WEB_CONCURRENCY="1")
    wait_until(lambda: opa.answers("/pid") and is_there(port), what=lambda: opa.log)
    for number in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", opa.port)
        connection.request(("GET", "PROPFIND")[number % 2], f"/nothing/{number}")
        connection.getresponse().read()
        connection.close()
    with pytest.raises(OSError):
        opa.get("/fails")
    found = scrape(port)

    name = "opa_http_request_duration_seconds_count"
    assert found.values(name, "route") == {"/pid", "none", "/fails"}
    assert found.values(name, "method") == {"GET", "other"}
    assert requests(found, route="none", plugin="none", status="404") == 20
    assert requests(found, route="/fails", status="500") == 1
    assert found.sum("opa_plugin_info", plugin="greeter", state="loaded") == 1
    assert found.sum("opa_plugin_import_seconds", plugin="greeter") > 0
    assert found.sum("opa_build_info", mode="api") == 1
    assert "nothing/" not in found.text
    assert not is_there(opa.port), "not on the port of the api"
    with ThreadPoolExecutor(30) as pool:  # of connections, a process has 32 for this
        assert len({requests(each, route="/fails") for each in pool.map(scrape, [port] * 200)}) == 1


@pytest.fixture
def tasks(project: Project, start_redis: Callable[[], Server]) -> Iterator[TaskProject]:
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        yield tasks


JOBS = """
import os
import tempfile
import time
from pathlib import Path

from opa import task


@task
def work(number: int, folder: str) -> None:
    time.sleep(0.01)
    tempfile.mkstemp(dir=folder)


@task
def fail() -> None:
    raise ValueError("no")


@task
def hold(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    while not Path(folder, "go").exists():
        time.sleep(0.02)
"""


def listens(pid: int, port: int) -> bool:
    """Whether a process has a socket open that listens on a port of this machine."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {each[9] for each in fields if each[1].endswith(f":{port:04X}") and each[3] == "0A"}
    links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return not links.isdisjoint(f"socket:[{inode}]" for inode in inodes)


def test_sums_of_two_workers_agree_with_what_was_sent_and_never_go_down_when_one_is_killed(
    tasks: TaskProject, tmp_path: Path
) -> None:
    ports = [free_port(), free_port()]
    ended = tmp_path / "ended"
    ended.mkdir()
    holding = tmp_path / "holding"
    holding.mkdir()
    tasks.plugin("jobs.py", JOBS)
    tasks.settings(METRICS=True)  # also of the process that sends, which notes when
    workers = [
        tasks.worker(
            "-c 2",
            OPA_METRICS_PORT=str(port),
            OPA_LOGLEVEL="warning",
            METRICS_FOLDER=str(tmp_path / "metrics"),
        )
        for port in ports
    ]
    for worker, port in zip(workers, ports, strict=True):
        wait_until(lambda port=port: is_there(port), what=lambda worker=worker: worker.log)  # type: ignore[misc]
        assert [child for child in worker.children if listens(child, port)] == [], "the port is the worker's alone"
        assert listens(worker.pid, port)
    with tasks.sending():
        jobs = tasks.module("jobs")
        for number in range(300):
            jobs.work.delay(number, str(ended))
        found = [scrape(ports[0])]

        def done() -> float:
            return found[-1].sum("opa_tasks_total", task="jobs.work", state="succeeded")

        def look() -> None:
            found.append(scrape(ports[0]))
            assert went_down(found[-2], found[-1]) == []

        def half() -> bool:
            look()
            return done() >= 100

        wait_until(half, what=lambda: workers[0].log)
        os.kill(workers[0].children[0], signal.SIGKILL)
        workers[1].destroy()
        jobs.fail.delay()

        def rests() -> bool:
            look()
            # In the hands of each of three processes that were killed one may have ended that it did not count.
            agrees = len(list(ended.iterdir())) <= done() + 3
            return agrees and found[-1].sum("opa_tasks_total", task="jobs.fail", state="failed") == 1

        wait_until(rests, what=lambda: workers[0].log)

        def running() -> float:
            look()
            return found[-1].sum("opa_tasks_running")

        def held() -> int:
            """In how many processes that live the function of a task runs."""
            return sum(is_running(int(path.name)) for path in holding.iterdir() if path.name != "go")

        wait_until(lambda: running() == 0, what=lambda: workers[0].log)
        for _ in range(2):
            jobs.hold.delay(str(holding))
        wait_until(lambda: running() == held() == 2, what=lambda: workers[0].log)
        victim = next(int(path.name) for path in holding.iterdir())
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not is_running(victim))
        # A child in its place may run the same task again.
        wait_until(lambda: running() == held() > 0, what=lambda: workers[0].log)
        (holding / "go").touch()
        wait_until(lambda: running() == 0, what=lambda: workers[0].log)
        last = found[-1]

    assert done() <= len(list(ended.iterdir()))
    assert last.sum("opa_tasks_total", task="jobs.fail", state="failed") == 1
    assert last.sum("opa_task_duration_seconds_count", task="jobs.work", plugin="jobs") >= done()
    assert last.sum("opa_task_waiting_seconds_count", task="jobs.work") >= done()
    assert last.sum("opa_tasks_total", task="jobs.work", state="received") >= done()
    assert last.sum("opa_broker_up") == 1
    assert last.sum("opa_dead_letters") == 0
    assert last.sum("opa_component_up", component="celery") == 1

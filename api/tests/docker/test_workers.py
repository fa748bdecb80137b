"""Workers of the compose stack lose no task, whatever goes away: on real RabbitMQ and redis."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.docker.engine import Answer, Stack, docker, running, write_plugin
from tests.serve.process import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

TASKS = 500
GRACE = 7
DELIVERIES = 5

JOBS = """
import asyncio
import os
import signal
import socket
import time

from opa import get_instance, get_router, task

router = get_router()
here = socket.gethostname()


def note(kind, run, number):
    get_instance("walrus").rpush(f"{kind}:{run}", f"{number} {here} {time.time()}")


@task
def work(run, number, seconds):
    note("begun", run, number)
    time.sleep(seconds)
    note("done", run, number)


@task
def work_once(run, number, seconds):
    # Only the first time does it take long.
    again = get_instance("walrus").llen(f"begun:{run}") > 0
    work(run, number, 0 if again else seconds)


@task(queue="many")
async def wait_a_second(run, number):
    began = time.time()
    await asyncio.sleep(1)
    redis = get_instance("aioredis")
    await redis.rpush(f"begun:{run}", f"{number} {here} {began}")
    await redis.rpush(f"done:{run}", f"{number} {here} {time.time()}")


@task
def poison(run, number, seconds):
    note("begun", run, number)
    os.kill(os.getpid(), signal.SIGKILL)


TASKS = {function.name.rpartition(".")[2]: function for function in (work, work_once, poison)}


@router.post("/send/{name}/{run}/{number}")
async def send(name: str, run: str, number: int, seconds: float = 0):
    return (await TASKS[name].send(run, number, seconds)).id


@router.post("/send-many/{run}/{first}/{count}")
async def send_many(run: str, first: int, count: int, seconds: float = 0):
    for number in range(first, first + count):
        await work.send(run, number, seconds)


@router.post("/send-seconds/{run}/{count}")
async def send_seconds(run: str, count: int):
    for number in range(count):
        await wait_a_second.send(run, number)


@router.get("/{kind}/{run}")
async def noted(kind: str, run: str):
    lines = await get_instance("aioredis").lrange(f"{kind}:{run}", 0, -1)
    return [line.decode().split() for line in lines]
"""


@dataclass(frozen=True)
class Note:
    """What a task wrote into redis."""

    number: int
    worker: str
    at: float


@dataclass(frozen=True)
class Run:
    """The tasks that one test sends."""

    stack: Stack
    name: str

    def send(self, number: int = 0, *, seconds: float = 0, task: str = "work") -> bool:
        """Whether the api could send it."""
        return self.stack.post(f"/send/{task}/{self.name}/{number}?seconds={seconds}").status == 200

    def send_many(self, number: int, *, first: int = 0, seconds: float = 0) -> None:
        answer = self.stack.post(f"/send-many/{self.name}/{first}/{number}?seconds={seconds}", timeout=60)
        assert answer == Answer(200), answer

    def begun(self) -> list[Note]:
        return self._noted("begun")

    def done(self) -> list[Note]:
        return self._noted("done")

    def numbers(self) -> set[int]:
        return {note.number for note in self.done()}

    def wait_until_done(self, number: int, *, seconds: float = 60) -> None:
        def enough() -> bool:
            return len(self.numbers()) >= number

        try:
            wait_until(enough, seconds=seconds, what=f"{number} tasks are done")
        except AssertionError as error:
            missing = sorted(set(range(number)) - self.numbers())
            raise AssertionError(f"{error}; not done: {missing}") from None

    def _noted(self, kind: str) -> list[Note]:
        answer = wait_until(lambda: self._answer(kind), what="the api reads from redis")
        return [Note(int(number), worker, float(at)) for number, worker, at in answer.body]

    def _answer(self, kind: str) -> Answer | None:
        """While redis is away there is none."""
        answer = self.stack.get(f"/{kind}/{self.name}")
        return answer if answer.status == 200 else None


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with two workers of two processes each, whose tasks have `GRACE` seconds when they stop."""
    stack = Stack(tmp_path_factory.mktemp("workers"), image, environ={"CELERY_PARAMS": "-c 2", "WEB_CONCURRENCY": "1"})
    stack.override("grace.yml", f"services:\n  worker:\n    environment:\n      OPA_GRACEFUL_TIMEOUT: {GRACE}\n")
    stack.leave_out("mongo", "beat")
    write_plugin(stack.plugins, "jobs.py", JOBS)
    with running(stack):
        yield stack


@pytest.fixture
def run(stack: Stack, request: pytest.FixtureRequest) -> Run:
    return Run(stack, f"run-{next(NUMBERS)}")


NUMBERS = count(1)


def scale(stack: Stack, workers: int) -> list[str]:
    """Have so many workers, healthy; their containers."""
    stack.compose("up", "--detach", "--wait", "--scale", f"worker={workers}")
    return worker_containers(stack)


def worker_containers(stack: Stack) -> list[str]:
    return sorted(stack.compose("ps", "--format", "{{.Name}}", "worker").split())


def in_container(container: str, code: str) -> str:
    return docker("exec", container, "python", "-c", code)


def kill_a_process(container: str) -> None:
    """SIGKILL to a process of the worker's pool, as the kernel does where memory is short."""
    in_container(
        container,
        """
import os, signal
def children(pid): return open(f"/proc/{pid}/task/{pid}/children").read().split()
(worker,) = children(1)
os.kill(int(children(worker)[0]), signal.SIGKILL)
""",
    )


def check_health(container: str) -> tuple[bool, str]:
    """What the health check of the image says."""
    said = docker("exec", container, "sh", "-c", "python -I /data/opa/healthcheck.py; echo $?")
    *text, status = said.splitlines()
    return status == "0", " ".join(text)


@contextmanager
def sending(run: Run, numbers: range, *, every: float, seconds: float) -> Iterator[None]:
    """Send tasks one after another in another thread; one that the api could not send is sent again."""
    sent: list[int] = []

    def send() -> None:
        for number in numbers:
            wait_until(lambda number=number: run.send(number, seconds=seconds))  # type: ignore[misc]
            sent.append(number)
            time.sleep(every)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert sent == list(numbers)


def test_no_task_is_lost_when_processes_workers_rabbitmq_and_redis_go_away(
    run: Run, stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    workers = scale(stack, 2)
    began = time.monotonic()
    events: list[str] = []

    def while_they_run(event: str, done: int, action: Callable[[], Any]) -> None:
        run.wait_until_done(done)
        events.append(f"{event} after {len(run.numbers())}")
        action()
        assert len(run.numbers()) < TASKS, f"all tasks were done before: {event}"

    run.send_many(350, seconds=0.1)
    with sending(run, range(350, TASKS), every=0.1, seconds=0.1):
        while_they_run("a process killed", 30, lambda: kill_a_process(workers[0]))
        while_they_run("a worker killed", 60, lambda: docker("kill", workers[1]))
        while_they_run("rabbitmq restarted", 100, lambda: stack.compose("restart", "--timeout", "5", "rabbitmq"))
        while_they_run("redis restarted", 150, lambda: stack.compose("restart", "redis"))
    run.wait_until_done(TASKS, seconds=90)

    begun = Counter(note.number for note in run.begun())
    done = Counter(note.number for note in run.done())
    record_property(
        "measured",
        f"{TASKS} tasks; {', '.join(events)}: every id is there after {time.monotonic() - began:.0f} s;"
        f" {sum(times > 1 for times in begun.values())} began more than once,"
        f" {sum(times > 1 for times in done.values())} were done more than once",
    )
    assert set(done) == set(range(TASKS))
    # Four run at a time, and each event ends no more than those.
    assert sum(begun.values()) - TASKS <= 4 * len(events)


def test_a_poison_task_is_given_up_and_the_tasks_after_it_are_done(run: Run, stack: Stack) -> None:
    scale(stack, 2)
    answer = stack.post(f"/send/poison/{run.name}/666")
    run.send_many(50)
    run.wait_until_done(50)
    wait_until(lambda: answer.body in stack.compose("exec", "worker", "opa", "tasks", "dead"), what="it is given up")
    (letter,) = [one for one in dead_letters(stack) if one["id"] == answer.body]
    assert letter["queue"] == "celery"
    assert letter["deliveries"] == DELIVERIES
    assert [note.number for note in run.begun()].count(666) == DELIVERIES


def dead_letters(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.compose("exec", "worker", "opa", "tasks", "dead", "--json"))
    return found


def test_a_worker_that_is_told_to_stop_finishes_what_it_runs(run: Run, stack: Stack) -> None:
    (worker,) = scale(stack, 1)
    run.send(seconds=5)
    wait_until(run.begun)
    docker("stop", "--time", "60", worker)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", worker).strip() == "0"
    assert len(run.begun()) == len(run.done()) == 1


def test_a_task_that_a_stopped_worker_cannot_finish_is_run_by_another_one(run: Run, stack: Stack) -> None:
    scale(stack, 2)
    run.send(seconds=300, task="work_once")
    (first,) = wait_until(run.begun)
    began = time.monotonic()
    docker("stop", "--time", "60", first.worker)
    assert GRACE <= time.monotonic() - began < GRACE + 15
    assert docker("inspect", "-f", "{{.State.ExitCode}}", first.worker).strip() == "0"
    run.wait_until_done(1)
    assert [note.worker for note in run.done()] != [first.worker]
    assert len(run.begun()) == 2


def test_a_thousand_waiting_tasks_run_side_by_side_in_one_process(
    run: Run, stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    name = f"{stack.name}-many"
    params = "CELERY_PARAMS=-P threads -c 400 -Q many"
    stack.compose("run", "--detach", "--name", name, "--env", params, "worker")
    try:
        wait_until(lambda: check_health(name)[0], what="the worker is ready")
        answer = stack.post(f"/send-seconds/{run.name}/1000", timeout=60)
        assert answer.status == 200
        run.wait_until_done(1000)
        begun, done = run.begun(), run.done()
        seconds = max(note.at for note in done) - min(note.at for note in begun)
        record_property("measured", f"1000 asynchronous tasks of one second in one process: {seconds:.1f} s")
        assert len(begun) == len(done) == 1000
        assert seconds <= 30  # one after another they would take 1,000; what it is on an idle machine is shown above
        processes = docker("top", name, "-eo", "pid,args").splitlines()
        assert len([line for line in processes if "health" not in line]) == 1 + 1 + 1, (
            processes
        )  # heading, init, worker
    finally:
        docker("rm", "--force", name, check=False)


def test_without_its_broker_a_worker_waits_and_works_soon_after_it_is_back(run: Run, stack: Stack) -> None:
    (worker,) = scale(stack, 1)
    stack.compose("stop", "worker", "rabbitmq")
    stack.compose("up", "--detach", "--no-deps", "worker")
    wait_until(lambda: "Trying again" in docker("logs", "--since", "60s", worker), what="it tries in vain")
    assert check_health(worker) == (False, "worker: it is not connected to the broker yet")
    stack.compose("start", "rabbitmq")
    wait_until(run.send, what="the broker is back")
    run.wait_until_done(1, seconds=10)
    assert check_health(worker) == (True, "")


def test_tasks_are_spread_over_all_workers(run: Run, stack: Stack) -> None:
    workers = scale(stack, 3)
    assert len(workers) == 3
    run.send_many(TASKS, seconds=0.02)
    run.wait_until_done(TASKS)
    assert run.numbers() == set(range(TASKS))
    shares = Counter(note.worker for note in run.done())
    assert len(shares) == 3
    assert min(shares.values()) > TASKS / 6


def test_every_line_of_a_worker_is_json(stack: Stack) -> None:
    for worker in worker_containers(stack):
        lines = docker("logs", worker).splitlines()
        assert lines
        assert [line for line in lines if not is_json(line)] == []


def is_json(line: str) -> bool:
    try:
        return bool(json.loads(line)["level"])
    except ValueError:
        return False

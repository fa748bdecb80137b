"""A worker that is told to stop, and one whose processes die."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import is_running, wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, Worker, task_project

JOBS = """
import asyncio
import os
import time
from pathlib import Path

from opa import task

MAY_END = Path("may-end")


def note(what):
    with Path("runs.txt").open("a") as file:
        file.write(f"{what} {os.getpid()}\\n")


@task
def work():
    note("begins")
    while not MAY_END.exists():
        time.sleep(0.05)
    return "done"


@task
async def work_async():
    note("begins")
    try:
        while not MAY_END.exists():
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        note("is cancelled")
        await asyncio.sleep(0.1)
        note("has cleaned up")
        raise
    return "done"


@task
def stubborn():
    note("begins")
    while not MAY_END.exists():
        try:
            time.sleep(0.05)
        except BaseException:
            pass
    return "done"


@task
def fails():
    raise ValueError("no")
"""
PROCESSES, THREADS = "-c 1", "-P threads -c 4"
LONG = 120
"""Seconds that a worker may take for its tasks where the test shows that it does not take them."""
# What the pools do is the same with each broker: RabbitMQ meets each pool once.
EACH_POOL = [("redis", PROCESSES, "work"), ("redis", THREADS, "work"), ("redis", THREADS, "work_async")]
WITH_RABBITMQ = [
    pytest.param("rabbitmq", PROCESSES, "work", marks=pytest.mark.docker),
    pytest.param("rabbitmq", THREADS, "work_async", marks=pytest.mark.docker),
]


def put_jobs_into(tasks: TaskProject) -> TaskProject:
    tasks.plugin("jobs.py", JOBS)
    # Celery waits for 10 s whether a process that is gone has left a result.
    tasks.settings(CELERY_WORKER_LOST_WAIT=0.5)
    return tasks


@pytest.fixture
def any_jobs(any_tasks: TaskProject) -> TaskProject:
    return put_jobs_into(any_tasks)


@pytest.fixture
def jobs(tasks: TaskProject) -> TaskProject:
    return put_jobs_into(tasks)


def runs(jobs: TaskProject, what: str = "begins") -> list[str]:
    """The lines of the tasks in the order in which they were written."""
    file = jobs.folder / "runs.txt"
    return [line for line in file.read_text().splitlines() if line.startswith(what)] if file.exists() else []


def wait_for_run(jobs: TaskProject, number: int = 1) -> None:
    wait_until(lambda: len(runs(jobs)) >= number, seconds=40, what=f"{number} runs have begun")


def let_them_end(jobs: TaskProject) -> None:
    (jobs.folder / "may-end").touch()


def tell_to_stop(worker: Worker, number: int = signal.SIGTERM) -> None:
    """And wait until it takes no more tasks."""
    worker.process.send_signal(number)
    wait_until(lambda: worker.says("of its tasks run"), what="it stops")


def kill_at_once(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()


@pytest.mark.parametrize(("any_tasks", "params", "name"), [*EACH_POOL, *WITH_RABBITMQ], indirect=["any_tasks"])
def test_a_task_that_is_done_in_time_finishes_before_the_worker_ends(
    any_jobs: TaskProject, params: str, name: str
) -> None:
    any_jobs.settings(GRACEFUL_TIMEOUT=LONG)
    worker = any_jobs.worker(params)
    with any_jobs.sending():
        result = getattr(any_jobs.module("jobs"), name).delay()
        wait_for_run(any_jobs)
        tell_to_stop(worker)
        let_them_end(any_jobs)
        assert worker.wait(seconds=LONG / 2) == 0
        assert result.get(timeout=1) == "done"
        # It was acknowledged, and so it does not run again.
        other = any_jobs.worker(params)
        getattr(any_jobs.module("jobs"), name).delay().get(timeout=60)
        assert other.stop() == 0
    assert len(runs(any_jobs)) == 2


@pytest.mark.parametrize(
    ("any_tasks", "params", "name"),
    [*EACH_POOL, ("redis", PROCESSES, "work_async"), *WITH_RABBITMQ],
    indirect=["any_tasks"],
)
def test_a_task_that_takes_longer_than_the_grace_period_is_run_by_another_worker(
    any_jobs: TaskProject, params: str, name: str
) -> None:
    any_jobs.settings(GRACEFUL_TIMEOUT=1)
    worker = any_jobs.worker(params)
    with any_jobs.sending():
        result = getattr(any_jobs.module("jobs"), name).delay()
        wait_for_run(any_jobs)
        before = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - before > 1
        assert not result.ready()
        let_them_end(any_jobs)
        any_jobs.worker(params)
        assert result.get(timeout=60) == "done"
    assert len(runs(any_jobs)) == 2


@pytest.mark.parametrize("params", [PROCESSES, THREADS])
def test_a_coroutine_that_is_given_back_can_clean_up(jobs: TaskProject, params: str) -> None:
    jobs.settings(GRACEFUL_TIMEOUT=0)
    worker = jobs.worker(params)
    with jobs.sending():
        jobs.module("jobs").work_async.delay()
        wait_for_run(jobs)
        assert worker.stop() == 0
    assert len(runs(jobs, "has cleaned up")) == 1


def test_a_task_that_cannot_be_interrupted_does_not_keep_the_worker(any_jobs: TaskProject) -> None:
    any_jobs.settings(GRACEFUL_TIMEOUT=0)
    worker = any_jobs.worker(PROCESSES)
    with any_jobs.sending():
        result = any_jobs.module("jobs").stubborn.delay()
        wait_for_run(any_jobs)
        assert worker.stop() == 0
        let_them_end(any_jobs)
        any_jobs.worker(PROCESSES)
        assert result.get(timeout=60) == "done"


def test_no_task_is_taken_while_the_worker_stops(jobs: TaskProject) -> None:
    worker = jobs.worker("-c 2")
    with jobs.sending():
        work = jobs.module("jobs").work
        first = work.delay()
        wait_for_run(jobs)
        tell_to_stop(worker)
        second = work.delay()
        let_them_end(jobs)
        assert worker.wait() == 0
        assert first.get(timeout=1) == "done"
        assert not second.ready()
        jobs.worker()
        assert second.get(timeout=60) == "done"


@pytest.mark.parametrize("params", [PROCESSES, THREADS])
def test_a_second_signal_gives_running_tasks_back_at_once(jobs: TaskProject, params: str) -> None:
    jobs.settings(GRACEFUL_TIMEOUT=LONG)
    worker = jobs.worker(params)
    with jobs.sending():
        jobs.module("jobs").work_async.delay()
        wait_for_run(jobs)
        tell_to_stop(worker, signal.SIGINT)
        assert worker.stop(signal.SIGINT, seconds=LONG / 2) == 0


def test_a_stop_leaves_no_process_behind_and_the_health_check_knows(jobs: TaskProject) -> None:
    worker = jobs.worker("-c 3")
    children = worker.children
    assert len(children) == 3
    assert worker.stop() == 0
    assert not any(is_running(pid) for pid in children)
    assert not worker.is_ready
    assert "stopping" in worker.health["reason"]


@pytest.mark.parametrize("params", [PROCESSES, THREADS])
def test_every_line_of_its_log_is_in_our_format_from_the_start_to_the_end(jobs: TaskProject, params: str) -> None:
    worker = jobs.worker(params)
    with jobs.sending(), pytest.raises(ValueError, match="no"):
        jobs.module("jobs").fails.delay().get(timeout=60)
    assert worker.stop() == 0
    assert {"INFO", "ERROR"} <= {line["level"] for line in worker.lines}


@pytest.mark.parametrize("name", ["work", "work_async"])
def test_a_task_whose_process_is_killed_runs_again(any_jobs: TaskProject, name: str) -> None:
    worker = any_jobs.worker("-c 2")
    with any_jobs.sending():
        result = getattr(any_jobs.module("jobs"), name).delay()
        wait_for_run(any_jobs)
        os.kill(int(runs(any_jobs)[0].split()[-1]), signal.SIGKILL)
        let_them_end(any_jobs)
        assert result.get(timeout=60) == "done"
    assert len(runs(any_jobs)) == 2
    assert worker.stop() == 0


@pytest.mark.parametrize("any_tasks", [pytest.param("rabbitmq", marks=pytest.mark.docker)], indirect=True)
def test_tasks_of_a_worker_that_is_killed_run_in_another_one(any_jobs: TaskProject) -> None:
    worker = any_jobs.worker()
    with any_jobs.sending():
        result = any_jobs.module("jobs").work.delay()
        wait_for_run(any_jobs)
        kill_at_once(worker)
        let_them_end(any_jobs)
        any_jobs.worker()
        assert result.get(timeout=60) == "done"


def test_on_redis_they_run_again_when_they_are_visible_again(jobs: TaskProject) -> None:
    jobs.settings(CELERY_TASK_SOFT_TIME_LIMIT=1, CELERY_TASK_TIME_LIMIT=2, TASK_VISIBILITY_TIMEOUT=3)
    # It is looked for such messages every 10 s, and not only every tenth time.
    jobs.component(BROKER_TRANSPORT_OPTIONS={"unacked_restore_throttle": 1})
    worker = jobs.worker()
    with jobs.sending():
        result = jobs.module("jobs").work.delay()
        wait_for_run(jobs)
        kill_at_once(worker)
        let_them_end(jobs)
        jobs.worker()
        assert result.get(timeout=40) == "done"


def test_the_children_end_with_a_worker_that_is_killed(jobs: TaskProject) -> None:
    worker = jobs.worker("-c 2")
    children = worker.children
    kill_at_once(worker)
    wait_until(lambda: not any(is_running(pid) for pid in children), what="the children are gone")


class Broker:
    """A broker of the test's own."""

    def __init__(self, url: str, server: Server | RabbitMQ) -> None:
        self.url = url
        self.kill, self.start = server.kill, server.start


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.docker)])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "redis":
        server: Server = request.getfixturevalue("start_redis")()
        return Broker(f"{server.url}/1", server)
    rabbitmq: RabbitMQ = request.getfixturevalue("start_rabbitmq")()
    return Broker(rabbitmq.virtual_host(), rabbitmq)


@pytest.mark.parametrize("params", [PROCESSES, THREADS])
def test_a_coroutine_whose_broker_is_lost_is_cancelled_and_runs_again_at_once(
    project: Project, broker: Broker, redis_url: str, params: str
) -> None:
    """RabbitMQ gives its task to any worker again: it would else run twice at the same time."""
    with task_project(project, broker=broker.url, backend=f"{redis_url}/2") as tasks:
        jobs = put_jobs_into(tasks)
        worker = jobs.worker(params)
        with jobs.sending():
            result = jobs.module("jobs").work_async.delay()
            wait_for_run(jobs)
            broker.kill()
            wait_until(lambda: len(runs(jobs, "has cleaned up")) == 1, what="it is cancelled")
            assert not result.ready()
            broker.start()
            wait_for_run(jobs, 2)
            let_them_end(jobs)
            assert result.get(timeout=60) == "done"
        assert worker.stop() == 0
    assert len(runs(jobs)) == 2


def test_a_thread_goes_on_without_its_broker_and_does_no_harm(project: Project, broker: Broker, redis_url: str) -> None:
    """It cannot be ended; so the task runs twice at a time, and its first run can no longer be acknowledged."""
    with task_project(project, broker=broker.url, backend=f"{redis_url}/2") as tasks:
        jobs = put_jobs_into(tasks)
        worker = jobs.worker(THREADS)
        with jobs.sending():
            work = jobs.module("jobs").work
            result = work.delay()
            wait_for_run(jobs)
            broker.kill()
            wait_until(lambda: not worker.is_ready, what="it has noticed")
            broker.start()
            wait_for_run(jobs, 2)
            let_them_end(jobs)
            assert result.get(timeout=60) == "done"

            def sent() -> Any:
                # Its connection is of the time before; RabbitMQ may be too busy just now to show that it is back.
                with suppress(OperationalError):
                    return work.delay()
                return None

            assert wait_until(sent).get(timeout=60) == "done"
        assert worker.stop() == 0
    assert len(runs(jobs)) == 3
    assert not [line for line in worker.lines if line["level"] == "CRITICAL" or "Traceback" in str(line)], worker.log

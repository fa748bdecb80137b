"""Components, setups and hooks in tasks."""

from __future__ import annotations

import pytest

from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject

STORES = """
from typing import Annotated

from fastapi import FastAPI
from redis.asyncio import Redis

from opa import Component, Hook, HookDefinition, Setup, call_hook, config, get_instance, get_router, log, task

router = get_router()


@router.get("/greeting")
def greeting() -> str:
    return call_hook("greeting")


class Greeting(HookDefinition):
    name = "greeting"


class Polite(Hook):
    name = "greeting"

    def run(self):
        return f"Good day from {config.PROJECT_NAME}"


class Everywhere(Setup):
    ran = "no"

    async def run(self, redis: Annotated[Redis, Component("aioredis")]):
        await redis.incr("setups")
        Everywhere.ran = "yes"


class InTheApiAlone(Setup):
    ran = "no"

    def __init__(self, app: FastAPI):
        InTheApiAlone.ran = "yes"


@task
def with_walrus():
    return get_instance("walrus").incr("counter")


@task
async def with_redis():
    return await get_instance("AIOREDIS").incr("counter")


@task
def with_pymongo():
    calls = get_instance("pymongo").get_default_database().calls
    calls.insert_one({"from": "pymongo"})
    return calls.count_documents({})


@task
async def with_motor():
    calls = get_instance("mongodb").get_default_database().calls
    await calls.insert_one({"from": "motor"})
    return await calls.count_documents({})


@task
def greet():
    return call_hook("greeting")


@task
def setups():
    return [Everywhere.ran, InTheApiAlone.ran]


@task
async def setups_async():
    return [Everywhere.ran, InTheApiAlone.ran]
"""

TRACE = """
import os
import time
from pathlib import Path

from opa import Driver, get_instance, task


def note(what):
    with Path("trace.txt").open("a") as file:
        file.write(f"{what} {os.getpid()}\\n")


class Traced(Driver):
    name = "traced"

    async def connect(self):
        note("connects")
        self.instance = object()

    async def disconnect(self):
        note("disconnects")


@task
def which():
    return [os.getpid(), id(get_instance("traced"))]


@task
async def which_async():
    return [os.getpid(), id(get_instance("traced"))]
"""
POOLS = ["-c 2", "-P threads -c 4"]


@pytest.fixture
def stores(tasks: TaskProject, mongo_url: str) -> TaskProject:
    url = tasks.backend.rpartition("/")[0]
    for name, driver in (("WALRUS", "redis-walrus"), ("AIOREDIS", "redis-aioredis")):
        tasks.project.component(name, driver, URL=f"{url}/5")
    for name, driver in (("MONGODB", "mongodb-async-motor"), ("PYMONGO", "mongodb-pymongo")):
        tasks.project.component(name, driver, URL=f"{mongo_url}/tasks_{tasks.folder.name}")
    tasks.settings(PROJECT_NAME="us")
    tasks.plugin("stores.py", STORES)
    return tasks


@pytest.mark.parametrize("params", POOLS)
def test_tasks_use_every_component_hooks_and_setups(stores: TaskProject, params: str) -> None:
    stores.worker(params)
    with stores.sending() as client:
        jobs = stores.module("stores")
        counts = [getattr(jobs, name).delay().get(timeout=60) for name in ("with_walrus", "with_redis") * 2]
        assert counts == [1, 2, 3, 4]
        counts = [getattr(jobs, name).delay().get(timeout=60) for name in ("with_pymongo", "with_motor") * 2]
        assert counts == [1, 2, 3, 4]
        assert jobs.greet.delay().get(timeout=60) == client.get("/greeting").json() == "Good day from us"
        # A setup without `app` runs in each process of a worker, one that names it runs in the api alone.
        assert jobs.setups.delay().get(timeout=60) == ["yes", "no"]
        assert jobs.setups_async.delay().get(timeout=60) == ["yes", "no"]
        assert jobs.InTheApiAlone.ran == "yes"


@pytest.mark.parametrize(("params", "processes"), [("-c 2", 2), ("-P threads -c 4", 1)])
def test_a_component_connects_once_in_each_process_and_disconnects_in_the_end(
    tasks: TaskProject, params: str, processes: int
) -> None:
    tasks.plugin("traced.py", TRACE)
    tasks.project.component("TRACED", "traced")
    trace = tasks.folder / "trace.txt"
    worker = tasks.worker(params)
    connected = sorted(trace.read_text().splitlines())
    assert len(connected) == processes
    assert all(line.startswith("connects") for line in connected)
    with tasks.sending():
        jobs = tasks.module("traced")
        results = [task.delay() for _ in range(8) for task in (jobs.which, jobs.which_async)]
        seen = {tuple(result.get(timeout=60)) for result in results}
    pids = {pid for pid, _ in seen}
    assert len(seen) == len(pids) <= processes
    assert f"connects {worker.pid}" not in connected or processes == 1
    assert worker.stop() == 0
    lines = trace.read_text().splitlines()
    for line in connected:
        assert line.replace("connects", "disconnects") in lines


def test_a_process_that_is_replaced_connects_and_disconnects_too(tasks: TaskProject) -> None:
    tasks.plugin("traced.py", TRACE)
    tasks.project.component("TRACED", "traced")
    tasks.worker("-c 1 --max-tasks-per-child 1")
    trace = tasks.folder / "trace.txt"
    with tasks.sending():
        which = tasks.module("traced").which
        first, second = (which.delay().get(timeout=60)[0] for _ in range(2))
    assert first != second
    wait_until(lambda: f"disconnects {first}" in trace.read_text(), what="the first has disconnected")
    assert f"connects {second}" in trace.read_text()


CANNOT = """
from opa import Driver, task


class Cannot(Driver):
    name = "cannot"

    def connect(self):
        raise ConnectionRefusedError("nobody there")


@task
def never():
    return "never"
"""


@pytest.mark.parametrize("params", ["-c 3", "-P threads -c 4"])
def test_a_component_that_cannot_connect_ends_the_worker_with_one_clear_line(tasks: TaskProject, params: str) -> None:
    tasks.plugin("cannot.py", CANNOT)
    tasks.project.component("CANNOT", "cannot")
    tasks.settings(COMPONENT_CONNECT_TIMEOUT=1)
    worker = tasks.start(CELERY_PARAMS=params)
    assert worker.wait() == 1
    errors = [line["message"] for line in worker.lines if line["level"] in ("ERROR", "CRITICAL")]
    assert len(errors) == 1, worker.log
    assert "component 'cannot'" in errors[0]
    assert "nobody there" in errors[0]
    assert not worker.is_ready


def test_a_component_that_takes_its_time_to_connect_is_waited_for(tasks: TaskProject) -> None:
    tasks.plugin(
        "slow.py", CANNOT.replace('raise ConnectionRefusedError("nobody there")', "__import__('time').sleep(6)")
    )
    tasks.project.component("CANNOT", "cannot")
    worker = tasks.start(CELERY_PARAMS="-c 1")
    wait_until(lambda: bool(worker.children), what="it has forked")
    first = worker.children
    assert not worker.is_ready
    worker.wait_until_ready()
    assert worker.children == first


FAILS_LATER = """
import os
from pathlib import Path

from opa import Setup, task


class Later(Setup):
    def run(self):
        if Path("broken").exists():
            raise RuntimeError("it is broken now")


@task
def die():
    Path("broken").touch()
    os._exit(1)
"""


def test_a_process_that_cannot_be_replaced_ends_the_worker(tasks: TaskProject) -> None:
    tasks.plugin("later.py", FAILS_LATER)
    worker = tasks.worker("-c 1")
    with tasks.sending():
        tasks.module("later").die.delay()
        assert worker.wait() == 1
    assert "it is broken now" in worker.log

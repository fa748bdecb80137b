"""The id of a request goes with the tasks that it sends, into the lines of the log of the worker that runs them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject, Worker

SHOP = """
import logging

from opa import get_request_id, get_router, log, task

router = get_router()


@task
def second():
    log.info("in the second")


@task
def plain():
    log.info("in a task")
    logging.getLogger("library").info("in a library")
    second.delay()
    return get_request_id()


@task
async def awaited():
    log.info("in a coroutine")
    await second.send()
    return get_request_id()


@task(max_retries=1)
def again():
    log.info("in try {}", again.request.retries)
    if again.request.retries == 0:
        raise again.retry(countdown=0)
    return get_request_id()


@task
def fails():
    raise ValueError


@router.post("/async/{name}")
async def send(name: str):
    return await (await globals()[name].send()).get(timeout=60)


@router.post("/thread/{name}")
def send_from_thread(name: str):
    return globals()[name].delay().get(timeout=60)


@router.post("/nobody-waits/{name}")
async def only_send(name: str):
    await globals()[name].send()
"""


def with_id(worker: Worker, request_id: str) -> set[str]:
    """The beginnings of the messages that the worker wrote for a request."""
    return {
        " ".join(line["message"].split("[")[0].split())
        for line in worker.lines
        if line.get("extra", {}).get("request_id") == request_id
    }


def waits_for(worker: Worker, request_id: str, *messages: str) -> None:
    wait_until(lambda: set(messages) <= with_id(worker, request_id), what=f"{messages} with the id")


@pytest.fixture
def shop(tasks: TaskProject) -> TaskProject:
    tasks.plugin("shop.py", SHOP)
    tasks.settings(REQUEST_ID=True)
    return tasks


@pytest.mark.parametrize("pool", ["-c 1", "-P threads -c 2"])
def test_lines_of_a_task_have_the_id_of_the_request_that_sent_it(shop: TaskProject, pool: str) -> None:
    worker = shop.worker(pool)
    with shop.sending() as client:

        def ask(path: str, request_id: str) -> Any:
            return client.post(path, headers={"X-Request-ID": request_id}).json()

        assert ask("/async/plain", "r1") == "r1"
        waits_for(worker, "r1", "in a task", "in a library", "in the second", "Task shop.plain")
        assert ask("/thread/awaited", "r2") == "r2"
        waits_for(worker, "r2", "in a coroutine", "in the second", "Task shop.awaited", "Task shop.second")
        assert ask("/async/again", "r3") == "r3"
        waits_for(worker, "r3", "in try 0", "in try 1", "Task shop.again")
        ask("/nobody-waits/fails", "r4")
        waits_for(worker, "r4", "Task shop.fails")
    ours = {line["extra"]["request_id"] for line in worker.lines if "request_id" in line.get("extra", {})}
    assert ours == {"r1", "r2", "r3", "r4"}


def test_a_task_that_no_request_has_sent_has_no_id(shop: TaskProject) -> None:
    worker = shop.worker()
    with shop.sending() as client:
        assert client.post("/async/plain", headers={"X-Request-ID": "r1"}).json() == "r1"
        assert shop.module("shop").plain.delay().get(timeout=60) is None
    assert with_id(worker, "r1")

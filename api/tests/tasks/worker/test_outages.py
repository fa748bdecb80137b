"""A server that tasks need goes away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded

from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, task_project

COUNT = """
import asyncio
import time

from redis.exceptions import ConnectionError

from opa import get_instance, log, task


@task
def count():
    log.info("count begins")
    return get_instance("walrus").incr("counted")


@task
async def count_async():
    log.info("count_async begins")
    return await get_instance("aioredis").incr("counted")


@task(soft_time_limit=2)
def count_within_limit():
    return get_instance("walrus").incr("counted")


@task(soft_time_limit=2)
async def count_async_within_limit():
    return await get_instance("aioredis").incr("counted")


@task(waits_for_components=False)
def count_or_fail():
    return get_instance("walrus").incr("counted")


@task(autoretry_for=(ConnectionError,), max_retries=1, default_retry_delay=0)
def count_with_retries():
    log.info("count_with_retries begins")
    return get_instance("walrus").incr("counted")


@task
def fails_with_its_own_error():
    log.info("fails begins")
    raise ConnectionError("the task's own")


@task
async def wait_until(moment):
    await asyncio.sleep(moment - time.time())
    return True


@task
def nothing():
    return "done"


@task(soft_time_limit=1)
def nothing_within_limit():
    return "done"
"""


@pytest.fixture
def store(start_redis: Callable[[], Server]) -> Server:
    """The redis of the components `walrus` and `aioredis`."""
    return start_redis()


@pytest.fixture
def tasks(project: Project, start_redis: Callable[[], Server], store: Server) -> Iterator[TaskProject]:
    """A project whose broker is another redis than `store`."""
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        project.component("WALRUS", "redis-walrus", URL=store.url)
        project.component("AIOREDIS", "redis-aioredis", URL=store.url)
        tasks.plugin("counting.py", COUNT)
        yield tasks


@pytest.mark.parametrize("params", ["-c 1", "-P threads -c 2"])
@pytest.mark.parametrize("name", ["count", "count_async"])
def test_a_task_waits_for_its_component_and_runs_again(
    tasks: TaskProject, store: Server, name: str, params: str
) -> None:
    worker = tasks.worker(params)
    with tasks.sending():
        send = getattr(tasks.module("counting"), name).delay
        assert send().get(timeout=60) == 1
        store.kill()
        result = send()
        wait_until(lambda: worker.says("does not answer; the tasks that need it wait"))
        assert not result.ready()
        store.start()
        assert result.get(timeout=60) >= 1
    assert worker.stop() == 0


def test_while_a_task_waits_its_worker_can_be_stopped_and_another_one_runs_it(
    tasks: TaskProject, store: Server
) -> None:
    tasks.settings(GRACEFUL_TIMEOUT=1)
    worker = tasks.worker("-P threads -c 1")
    with tasks.sending():
        counting = tasks.module("counting")
        store.kill()
        result = counting.count_async.delay()
        wait_until(lambda: worker.says("the tasks that need it wait"))
        assert worker.stop() == 0
        store.start()
        tasks.worker()
        assert result.get(timeout=60) == 1


@pytest.mark.parametrize("name", ["count_within_limit", "count_async_within_limit"])
def test_a_task_waits_no_longer_than_its_time_limit(tasks: TaskProject, store: Server, name: str) -> None:
    tasks.worker()
    with tasks.sending():
        store.kill()
        with pytest.raises(SoftTimeLimitExceeded):
            getattr(tasks.module("counting"), name).delay().get(timeout=60)


def test_a_task_that_is_not_to_wait_fails(tasks: TaskProject, store: Server) -> None:
    tasks.worker()
    with tasks.sending():
        store.kill()
        with pytest.raises(redis.ConnectionError):
            tasks.module("counting").count_or_fail.delay().get(timeout=60)


def test_a_task_with_retries_of_its_own_uses_them(tasks: TaskProject, store: Server) -> None:
    worker = tasks.worker()
    with tasks.sending():
        store.kill()
        with pytest.raises(redis.ConnectionError):
            tasks.module("counting").count_with_retries.delay().get(timeout=60)
    assert worker.log.count("count_with_retries begins") == 2


def test_a_task_whose_component_is_there_is_run_again_some_times_only(tasks: TaskProject) -> None:
    worker = tasks.worker()
    with tasks.sending(), pytest.raises(redis.ConnectionError, match="the task's own"):
        tasks.module("counting").fails_with_its_own_error.delay().get(timeout=60)
    assert worker.log.count("fails begins") == 4


@pytest.mark.parametrize(("name", "said"), [("nothing", ""), ("nothing_within_limit", "Soft time limit (1s) exceeded")])
def test_a_result_waits_until_it_can_be_stored_also_beyond_the_soft_limit_of_the_task(
    project: Project, start_redis: Callable[[], Server], store: Server, name: str, said: str
) -> None:
    with task_project(project, broker=start_redis().url, backend=store.url) as tasks:
        tasks.plugin("counting.py", COUNT)
        worker = tasks.worker()
        with tasks.sending():
            store.kill()
            result = getattr(tasks.module("counting"), name).delay()
            wait_until(lambda: worker.says("waits to be stored") and worker.says(said))
            store.start()
            assert result.get(timeout=60) == "done"


def test_more_tasks_than_connections_can_store_their_results(tasks: TaskProject) -> None:
    worker = tasks.worker("-P threads -c 250")
    with tasks.sending():
        soon = time.time() + 2
        results = [tasks.module("counting").wait_until.delay(soon) for _ in range(250)]
        assert all(result.get(timeout=60) for result in results)
    assert "waits to be stored" not in worker.log


WAIT = """
import asyncio

from opa import log, task


@task
async def wait():
    log.info("wait begins")
    await asyncio.sleep(2)
    log.info("wait is done")
"""


@pytest.mark.docker
def test_a_task_does_not_run_twice_at_a_time_where_broker_and_results_are_lost_together(
    project: Project, start_rabbitmq: Callable[[], RabbitMQ], store: Server
) -> None:
    rabbitmq = start_rabbitmq()
    with task_project(project, broker=rabbitmq.virtual_host(), backend=store.url) as tasks:
        tasks.plugin("waiting.py", WAIT)
        worker = tasks.worker("-P threads -c 2")
        with tasks.sending():
            result = tasks.module("waiting").wait.delay()
            wait_until(lambda: worker.says("wait begins"))
            store.kill()
            rabbitmq.kill()
            wait_until(lambda: worker.says("Connection to broker lost"))
            store.start()
            rabbitmq.start()
            result.get(timeout=60)
        assert worker.log.count("wait begins") == 2
        assert worker.log.count("wait is done") == 1

"""Waiting for results on an event loop; what a worker would have stored is stored by hand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, assert_type

import pytest
import redis

from opa.errors import OpaError
from opa.tasks.result import TaskResult
from opa.tasks.task import Task
from tests.project import Project
from tests.servers import Server
from tests.tasks.workers import TaskProject

JOBS = """
from opa import task

@task
async def double(number):
    return 2 * number

@task(ignore_result=True)
def quiet(): ...

"""


@pytest.fixture
def api(tasks: TaskProject) -> Iterator[SimpleNamespace]:
    """The api in this process, without any worker."""
    tasks.plugin("jobs.py", JOBS)
    with tasks.sending() as client:
        double = tasks.module("jobs").double
        yield SimpleNamespace(client=client, double=double, backend=double.app.backend, url=tasks.backend)


if TYPE_CHECKING:

    async def the_result_has_the_type_that_is_awaited(
        asynchronous: Task[[str], Coroutine[Any, Any, int]], plain: Task[[str], float]
    ) -> None:
        assert_type(await asynchronous.send("tea"), TaskResult[int])
        assert_type(await asynchronous.send_with({"countdown": 1}, "tea"), TaskResult[int])
        assert_type(await (await plain.send("tea")).get(timeout=1), float)
        assert_type(await plain.send_with({}, "tea"), TaskResult[float])


def run(api: SimpleNamespace, function: Callable[..., Any], *args: Any) -> Any:
    return api.client.portal.call(function, *args)


def sent(api: SimpleNamespace) -> Any:
    return run(api, api.double.send, 4)


def get(api: SimpleNamespace, result: Any, timeout: float) -> Any:
    async def wait() -> Any:
        return await result.get(timeout=timeout)

    return run(api, wait)


def test_a_result_that_is_not_kept_is_none_at_once(api: SimpleNamespace) -> None:
    async def wait() -> Any:
        return await (await api.double.send_with({"ignore_result": True}, 4)).get(timeout=60)

    assert run(api, wait) is None
    assert get(api, TaskResult(api.double.app.send_task("jobs.quiet")), 60) is None  # by its name, too


def test_a_result_is_waited_for(api: SimpleNamespace) -> None:
    result = sent(api)

    async def wait() -> Any:
        waiting = asyncio.create_task(result.get(timeout=60))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await asyncio.to_thread(api.backend.store_result, result.id, 8, "SUCCESS")
        return await waiting

    assert run(api, wait) == 8


def test_a_result_that_does_not_come_in_time_is_a_timeout_that_names_the_task(api: SimpleNamespace) -> None:
    result = sent(api)
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"task {result.id} has no result after 0\.3 s"):
        get(api, result, 0.3)
    assert time.monotonic() - before < 30


def test_a_result_can_be_waited_for_again_after_a_timeout(api: SimpleNamespace) -> None:
    result = sent(api)
    with pytest.raises(TimeoutError):
        get(api, result, 0.1)
    api.backend.store_result(result.id, 8, "SUCCESS")
    assert get(api, result, 5) == 8


def test_a_timeout_that_the_task_raised_is_the_tasks(api: SimpleNamespace) -> None:
    result = sent(api)
    api.backend.mark_as_failure(result.id, TimeoutError("the other side"))
    with pytest.raises(TimeoutError, match="the other side"):
        get(api, result, 5)


def test_a_task_that_was_revoked_raises_that(api: SimpleNamespace) -> None:
    from celery.exceptions import TaskRevokedError

    result = sent(api)
    api.backend.mark_as_revoked(result.id, "not wanted any more")
    with pytest.raises(TaskRevokedError, match="not wanted"):
        get(api, result, 5)


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_a_result_written_by_another_program_ends_no_process(api: SimpleNamespace, kind: str) -> None:
    result = sent(api)
    failure = {"exc_type": kind, "exc_module": "builtins", "exc_message": [0]}
    written = {"status": "FAILURE", "result": failure, "traceback": None, "children": [], "task_id": result.id}
    api.backend.client.set(api.backend.get_key_for_task(result.id), json.dumps(written))
    with pytest.raises(RuntimeError, match=f"{kind}.*which no task gives"):
        get(api, result, 60)
    with pytest.raises(RuntimeError, match=f"{kind}.*which no task gives"):
        result.celery.get(timeout=60)


def test_a_task_that_is_to_be_tried_again_has_no_result_yet(api: SimpleNamespace) -> None:
    result = sent(api)
    api.backend.mark_as_retry(result.id, ValueError("once more"))
    with pytest.raises(TimeoutError):
        get(api, result, 0.3)


def test_the_state_of_a_result_can_be_asked_for(api: SimpleNamespace) -> None:
    result = sent(api)
    assert run(api, result.state) == "PENDING"
    api.backend.store_result(result.id, {"done": 50}, "HALF")
    assert run(api, result.state) == "HALF"


def test_a_success_stays_and_anything_else_is_replaced(api: SimpleNamespace) -> None:
    """A worker that was thought to be lost may store a failure after another one has done the task."""
    task = "some-id"
    for result, state, stays in (
        (None, "STARTED", "STARTED"),
        (ValueError("no"), "FAILURE", "FAILURE"),
        ({"status": "fine", "nested": [None, {"a": "é"}]}, "SUCCESS", "SUCCESS"),
        (ValueError("late"), "FAILURE", "SUCCESS"),
        (3, "SUCCESS", "SUCCESS"),
    ):
        api.backend.store_result(task, result, state)
        assert api.double.AsyncResult(task).state == stays
    assert api.double.AsyncResult(task).result == {"status": "fine", "nested": [None, {"a": "é"}]}


@pytest.mark.parametrize("garbage", [b"5", b"null", b"true", b"[]", b"[", b"\xff"])
def test_a_result_is_stored_over_whatever_stands_there(api: SimpleNamespace, garbage: bytes) -> None:
    api.backend.client.set(api.backend.get_key_for_task("some-id"), garbage)
    api.backend.store_result("some-id", 3, "SUCCESS")
    assert api.double.AsyncResult("some-id").result == 3


def test_results_expire_when_the_settings_say(api: SimpleNamespace) -> None:
    key = api.backend.get_key_for_task("some-id")
    with redis.Redis.from_url(api.url) as client:
        api.backend.store_result("some-id", 1, "STARTED")
        assert 86000 < client.ttl(key) <= 86400
        api.backend.expires = None
        api.backend.store_result("some-id", 1, "SUCCESS")
        assert client.ttl(key) == -1


def test_the_result_of_celery_is_at_hand(api: SimpleNamespace) -> None:
    result = sent(api)
    api.backend.store_result(result.id, {"done": 50}, "HALF")
    assert result.celery.info == {"done": 50}


def test_many_results_are_waited_for_side_by_side(api: SimpleNamespace) -> None:
    async def wait() -> list[int]:
        results = [await api.double.send(number) for number in range(60)]
        waiting = asyncio.gather(*(result.get(timeout=60) for result in results))
        for number, result in enumerate(results):  # in threads: those that wait take none
            await asyncio.to_thread(api.backend.store_result, result.id, 2 * number, "SUCCESS")
        return await waiting

    assert run(api, wait) == [2 * number for number in range(60)]


def test_without_a_backend_the_error_says_what_to_set(project: Project, redis_url: str) -> None:
    project.component("CELERY", "celery", BROKER_URL=f"{redis_url}/7", BACKEND_URL="")
    project.plugin("jobs.py", JOBS)
    with project.client() as client:
        import importlib

        api = SimpleNamespace(client=client, double=importlib.import_module("jobs").double)
        with pytest.raises(OpaError, match="results of tasks are not kept.*Set BACKEND_URL"):
            get(api, sent(api), 1)


def test_waiting_for_a_result_raises_the_error_of_a_backend_that_does_not_answer(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    broker, backend = start_redis(), start_redis()
    tasks = TaskProject(project, broker=f"{broker.url}/1", backend=f"{backend.url}/2")
    tasks.plugin("jobs.py", JOBS)
    with tasks.sending() as client:
        api = SimpleNamespace(client=client, double=tasks.module("jobs").double)
        result = sent(api)
        backend.kill()
        with pytest.raises(redis.ConnectionError):
            get(api, result, 5)


def test_tasks_that_run_at_once_in_tests_have_a_result(tasks: TaskProject) -> None:
    tasks.settings(CELERY_TASK_ALWAYS_EAGER=True)
    tasks.plugin("jobs.py", JOBS)
    with tasks.sending() as client:
        api = SimpleNamespace(client=client, double=tasks.module("jobs").double)
        assert get(api, sent(api), 5) == 8

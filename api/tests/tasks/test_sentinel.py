"""Redis behind Sentinel is a broker as any redis is, also when another server becomes the master."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import TimeoutError as NotReadyError
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from tests.project import Project
from tests.servers import wait_until
from tests.tasks.sentinel import Group, sentinel_group
from tests.tasks.workers import TaskProject, task_project

JOBS = """
from opa import task


@task
def double(number: int) -> int:
    return 2 * number
"""


@pytest.fixture
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    with sentinel_group(tmp_path_factory.mktemp("group")) as group:
        yield group


@pytest.fixture
def tasks(project: Project, group: Group, redis_url: str) -> Iterator[TaskProject]:
    with task_project(project, broker=group.url, backend=f"{redis_url}/13") as tasks:
        tasks.settings(CELERY_BROKER_TRANSPORT_OPTIONS={"master_name": "group"})
        tasks.plugin("jobs.py", JOBS)
        yield tasks


def test_tasks_run_before_and_after_another_server_is_the_master(tasks: TaskProject, group: Group) -> None:
    worker = tasks.worker()
    with tasks.sending():
        double = tasks.module("jobs").double
        assert double.delay(1).get(timeout=60) == 2
        group.fail_over()
        results: list[Any] = []

        def is_sent() -> bool:
            try:
                results.append(double.delay(2))
            except OperationalError:
                return False
            return True

        wait_until(is_sent)
        assert results[0].get(timeout=60) == 4
    with Redis(port=group.replica.port) as master:
        master.lpush("celery", b"no message")
        worker.wait_until_says("is kept among the dead letters")
        # The line comes first.
        wait_until(lambda: master.llen("opa.dead") == 1)


def test_results_are_kept_before_and_after_another_server_is_the_master(
    project: Project, group: Group, redis_url: str
) -> None:
    with task_project(project, broker=f"{redis_url}/12", backend=group.url) as tasks:
        tasks.settings(CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS={"master_name": "group"})
        tasks.plugin("jobs.py", JOBS)
        tasks.worker()
        with tasks.sending():
            double = tasks.module("jobs").double
            assert double.delay(1).get(timeout=60) == 2
            group.fail_over()
            result = double.delay(2)

            def is_there() -> bool:
                try:
                    return bool(result.get(timeout=1) == 4)
                except (RedisError, NotReadyError):
                    return False

            wait_until(is_there)

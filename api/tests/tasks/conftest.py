"""Fixtures of the tests of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.project import Project
from tests.servers import Server
from tests.tasks.workers import TaskProject, task_project


@pytest.fixture
def tasks(project: Project, start_redis: Callable[[], Server]) -> Iterator[TaskProject]:
    """A project whose broker is a redis of its own."""
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        yield tasks


@pytest.fixture
def rabbit_tasks(project: Project, rabbitmq_url: str, redis_url: str) -> Iterator[TaskProject]:
    """A project whose broker is RabbitMQ, with a virtual host of its own."""
    with task_project(project, broker=rabbitmq_url, backend=f"{redis_url}/2") as tasks:
        yield tasks


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.docker)])
def any_tasks(request: pytest.FixtureRequest) -> TaskProject:
    """Both, one after the other."""
    found: TaskProject = request.getfixturevalue("tasks" if request.param == "redis" else "rabbit_tasks")
    return found

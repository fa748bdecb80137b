"""A project with workers, whose runs are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.project import Project
from tests.servers import Server
from tests.tasks.runs_project import RunsProject, runs_project
from tests.tasks.workers import task_project


@pytest.fixture
def runs(project: Project, start_redis: Callable[[], Server]) -> Iterator[RunsProject]:
    """A project whose broker is a redis of its own, which has the runs as well."""
    server = start_redis()
    with task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2") as tasks:
        yield runs_project(tasks, server)


@pytest.fixture
def rabbit_runs(project: Project, rabbitmq_url: str, start_redis: Callable[[], Server]) -> Iterator[RunsProject]:
    """A project whose broker is RabbitMQ, with a redis of its own for the runs."""
    server = start_redis()
    with task_project(project, broker=rabbitmq_url, backend=f"{server.url}/2") as tasks:
        yield runs_project(tasks, server)

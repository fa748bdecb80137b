"""Events while workers, the api and the broker go away: some here, and 10,000 by `python -m tests.events`."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

import pytest

from tests.events.losses import LOSSES, emit_many, write_many
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import free_port
from tests.servers import Server
from tests.tasks.workers import TaskProject, Worker, task_project

COUNT = int(os.environ.get("TESTS_EVENTS", "100"))
"""How many of each kind."""


class Processes:
    """The api and two workers as processes, and a virtual host of RabbitMQ."""

    def __init__(self, tasks: TaskProject, rabbitmq: RabbitMQ) -> None:
        self._tasks = tasks
        self._rabbitmq = rabbitmq
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._api = self._start_api()
        self._names = count(1)
        self._workers = [self.start_worker() for _ in range(2)]

    def _start_api(self) -> Worker:
        return self._tasks.start(MODE="api", OPA_PORT=str(self._port), WEB_CONCURRENCY="1")

    def start_worker(self) -> Worker:
        return self._tasks.worker(f"-c 1 -n worker-{next(self._names)}@%h")

    def kill_worker(self) -> None:
        self._workers.pop(0).destroy()

    def kill_api(self) -> None:
        self._api.destroy()
        self._api = self._start_api()

    def restart_broker(self) -> None:
        """Others share it: their connections stay."""
        host = self._tasks.broker.rpartition("/")[2]
        self._rabbitmq.control("close_all_connections", "--vhost", host, "a test")


@pytest.mark.docker
@pytest.mark.parametrize("broker", ["rabbitmq"])
def test_each_event_is_handled_whatever_is_killed_half_way_and_no_more_often_than_deliveries_were_lost(
    broker: str,
    rabbitmq: RabbitMQ,
    start_redis: Callable[[], Server],
    project: Project,
    record_property: Callable[[str, object], None],
) -> None:
    assert broker == "rabbitmq"
    server = start_redis()
    with task_project(project, broker=rabbitmq.virtual_host(), backend=f"{server.url}/2") as tasks:
        for name, driver in (("AIOREDIS", "redis-aioredis"), ("WALRUS", "redis-walrus")):
            project.component(name, driver, URL=f"{server.url}/3")
        project.component("SQL", "sqlalchemy-async", URL=f"sqlite:///{project.folder / 'a.db'}")
        tasks.plugin("losses.py", LOSSES)
        place = Processes(tasks, rabbitmq)
        record_property("measured", emit_many(place, COUNT))
        place.start_worker()
        record_property("measured", write_many(place, COUNT))

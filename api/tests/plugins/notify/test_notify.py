"""A thousand failures of real workers are one message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.plugins.notify.targets import Webhook
from tests.project import Project
from tests.servers import Server, wait_until
from tests.tasks.workers import TaskProject, task_project

PLUGIN = """
from opa import task

@task
def fails(number):
    raise LookupError(f"no page {number}")

@task
def fine():
    return 1
"""


@pytest.fixture
def tasks(project: Project, start_redis: Callable[[], Server]) -> Iterator[TaskProject]:
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


def test_a_thousand_failures_in_two_workers_are_one_message(tasks: TaskProject, hook: Webhook) -> None:
    tasks.plugin("jobs.py", PLUGIN)
    url = f"{tasks.backend[:-2]}/3"
    tasks.project.component("AIOREDIS", "redis-aioredis", URL=url)
    tasks.settings(NOTIFY={"ops": {"TYPE": "json", "URL": hook.url, "WINDOW": 3600}}, PROJECT_ID="shop")
    workers = [tasks.worker(f"-c 2 -n {name}@%h") for name in ("first", "second")]
    with tasks.sending(), redis.Redis.from_url(url, decode_responses=True) as client:
        jobs = tasks.module("jobs")
        for number in range(1000):
            jobs.fails.delay(number)

        def collected() -> int:
            entries = client.hgetall("opa:shop:notify:ops:open")
            return sum(json.loads(text)["count"] for name, text in entries.items() if not name.startswith(" "))

        wait_until(lambda: collected() == 1000, seconds=240, what=lambda: f"{collected()}\n{workers[0].log}")
        assert hook.posted == []
        client.hset("opa:shop:notify:ops:open", " due", 0)  # instead of waiting until the window closes
        wait_until(lambda: hook.posted)
    (entry,) = hook.posted[0]["failures"]
    assert (entry["count"], entry["task"], entry["plugin"]) == (1000, "jobs.fails", "jobs")
    assert entry["problem"].startswith("LookupError: no page ")
    assert entry["frame"] == "jobs.py:6 in fails"
    for worker in workers:
        assert worker.stop() == 0
    assert len(hook.posted) == 1


def test_a_target_that_hangs_holds_up_neither_tasks_nor_the_end_of_a_worker(tasks: TaskProject, hook: Webhook) -> None:
    hook.status = "hang"
    tasks.plugin("jobs.py", PLUGIN)
    tasks.settings(NOTIFY={"ops": {"TYPE": "slack", "URL": hook.url, "WINDOW": 0.1}})
    worker = tasks.worker("-c 1")
    with tasks.sending():
        jobs = tasks.module("jobs")
        jobs.fails.delay(1).get(timeout=60, propagate=False)
        wait_until(lambda: hook.posted)
        assert [jobs.fine.delay().get(timeout=60) for _ in range(5)] == [1] * 5
    assert worker.stop(seconds=30) == 0
    assert "hooks/T0" not in worker.log

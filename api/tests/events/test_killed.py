"""Events while workers and brokers go away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from opa import emit_sync
from tests.events.shop import write
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import task_project


@pytest.mark.parametrize("broker", ["rabbitmq"])
def test_a_worker_that_is_killed_half_way_loses_no_event(
    broker: str, rabbitmq_url: str, start_redis: Callable[[], Server], project: Project
) -> None:
    assert broker in ("rabbitmq",)
    server = start_redis()
    with task_project(project, broker=rabbitmq_url, backend=f"{server.url}/2") as tasks:
        write(tasks, f"{server.url}/3")
        store: Any = redis.Redis.from_url(f"{server.url}/3", decode_responses=True)
        first, _second = tasks.worker("-c 1 -n first@%h"), tasks.worker("-c 1 -n second@%h")
        with tasks.sending():
            ids = [emit_sync("orders.paid", number).id for number in range(100)]
            wait_until(lambda: store.llen("seen:json") > 20)
            first.destroy()
            wait_until(lambda: all(id_ in str(store.lrange("seen:json", 0, -1)) for id_ in ids))
        # What the killed worker had in its hands may have run already: what it had taken, and not acknowledged.
        assert 100 <= store.llen("seen:json") <= 110

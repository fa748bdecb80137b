"""What the thread does that writes what a process has taken down."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis

from opa import TaskRun
from opa.plugins.task_runs import writer as writing
from opa.plugins.task_runs.journal import Journal
from opa.plugins.task_runs.said import Said
from opa.plugins.task_runs.taken import Taken
from tests.serve.process import wait_until


def test_a_worker_whose_clock_is_set_back_is_not_gone_and_what_it_runs_is_written(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEARTBEAT", "LOOK_INTERVAL", "INTERVAL"):
        monkeypatch.setattr(writing, name, 0.05)
    client: Any = redis.Redis.from_url(redis_url)
    config = SimpleNamespace(
        **{"PROJECT_ID": uuid4().hex, "RUNS_KEEP": 10, "RUNS_KEEP_AGE": 3600, "RUNS_KEEP_BYTES": 10_000},
        **{"RUNS_KEEP_RECORD_BYTES": None, "TASK_DELIVERY_LIMIT": 5},
        OPTIONAL_COMPONENTS={"AIOREDIS": SimpleNamespace(OPTS={"URL": str(tmp_path)})},
    )
    driver = SimpleNamespace(new_thread_client=lambda: redis.Redis.from_url(redis_url))
    manager: Any = SimpleNamespace(
        config=config, component_states={"aioredis": SimpleNamespace(driver=driver, load="yes")}
    )
    taken = Taken("me", Journal(lambda: tmp_path / "journals"))
    taken.is_worker = True
    writer = writing.Writer(taken, manager)
    prefix = f"opa:{config.PROJECT_ID}:runs:"
    try:
        wait_until(lambda: client.exists(f"{prefix}worker:me"))
        begun, real = time.time(), time.time
        monkeypatch.setattr(writing, "time", SimpleNamespace(time=lambda: real() - 3600, monotonic=time.monotonic))
        client.delete(f"{prefix}worker:me")
        taken.running["a"] = (TaskRun("a", "shop.add", started_at=begun), Said())
        wait_until(lambda: client.exists(f"{prefix}worker:me", f"{prefix}run:a") == 2, seconds=60)
        assert json.loads(client.get(f"{prefix}run:a"))["s"] == "running"
    finally:
        assert writer.finish()
        client.close()

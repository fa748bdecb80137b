"""A project with workers, whose runs are recorded, and what reads them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import redis
from typer.testing import CliRunner, Result

from opa.cli.commands import app
from opa.plugins.task_runs.reader import RunReader
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.shop import SHOP
from tests.tasks.workers import TaskProject


class RunsProject:
    """A project, and what redis has of its runs."""

    def __init__(self, tasks: TaskProject, server: Server) -> None:
        self.tasks = tasks
        self.server = server
        self.client: Any = redis.Redis.from_url(f"{server.url}/3", decode_responses=True)
        self.prefix = "opa:runs-test:runs:"

    def record(self, task_id: str) -> dict[str, Any]:
        text = self.client.get(f"{self.prefix}run:{task_id}")
        found: dict[str, Any] = {} if text is None else json.loads(text)
        return found

    def wait_for(self, task_id: str, state: str, *, seconds: float = 90) -> dict[str, Any]:
        wait_until(
            lambda: self.record(task_id).get("s") == state,
            seconds=seconds,
            what=lambda: f"{state}: {self.record(task_id)}",
        )
        return self.record(task_id)

    def read(self, use: Callable[[RunReader], Any]) -> Any:
        """What `use` gives of a reader, with a client of its own."""

        async def run() -> Any:
            client = redis.asyncio.Redis.from_url(f"{self.server.url}/3")
            try:
                return await use(RunReader(client, self.prefix, None))  # type: ignore[arg-type]
            finally:
                await client.aclose()

        return asyncio.run(run())


def opa(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "300"})
    assert result.exit_code == status, result.output
    return result


def runs_project(tasks: TaskProject, server: Server) -> RunsProject:
    # A plugin registers when it is imported, and the tests have imported it to look at what it does.
    for name in [name for name in sys.modules if name.startswith("opa.plugins.task_runs")]:
        del sys.modules[name]
    tasks.project.component("AIOREDIS", "redis-aioredis", URL=f"{server.url}/3")
    tasks.settings(PROJECT_ID="runs-test", GRACEFUL_TIMEOUT=1)
    tasks.plugin("shop.py", SHOP)
    return RunsProject(tasks, server)

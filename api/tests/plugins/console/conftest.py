"""The console, and the metrics that it shows, decide when they are imported whether they are there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from tests.plugins.console.jobs import JOBS
from tests.project import Project
from tests.servers import Server
from tests.tasks.runs_project import RunsProject, runs_project
from tests.tasks.workers import task_project


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    """Tests of its parts have imported it before there was a project."""
    for name in [name for name in sys.modules if name.startswith(("opa.plugins.console", "opa.plugins.core_metrics"))]:
        del sys.modules[name]


@pytest.fixture
def idle(project: Project, start_redis: Callable[[], Server]) -> Iterator[RunsProject]:
    """Without a worker."""
    server = start_redis()
    project.plugin("jobs.py", JOBS)
    with task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2") as tasks:
        yield runs_project(tasks, server)


@pytest.fixture
def jobs(idle: RunsProject, monkeypatch: pytest.MonkeyPatch) -> RunsProject:
    idle.tasks.worker().wait_until_ready()
    monkeypatch.setenv("ENV", "dev")
    return idle

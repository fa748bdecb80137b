"""Fixtures of the tests of the schedule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from opa.core.manager import PluginManager
from opa.tasks.beat.service import Scheduler
from tests.project import Project

HOURLY = """
from opa import register, task

told = []

@task(schedule=3600)
def hourly(): ...

@register("on_schedule_missed")
def tell(run):
    told.append(run)
"""


class OneProject:
    """A project with an hourly task, whose beats run in this process, with a redis as broker and for the results."""

    def __init__(self, project: Project, url: str) -> None:
        project.component("CELERY", "celery", BROKER_URL=f"{url}/1", BACKEND_URL=f"{url}/2")
        project.settings(PROJECT_ID=f"beat-{uuid4().hex}", SCHEDULE_MISSED_AFTER=60)
        project.plugin("jobs.py", HOURLY)
        self.project = project
        self.manager: PluginManager = project.prepare()
        self._beats = ExitStack()

    def beat(self) -> Scheduler:
        beat = Scheduler(app=self.manager.celery)
        self._beats.callback(beat.close)
        return beat

    def key(self, name: str) -> str:
        return f"opa:{self.project.config().PROJECT_ID}:beat:{name}"

    def close(self) -> None:
        self._beats.close()


@pytest.fixture
def one_project(project: Project, redis_url: str) -> Iterator[OneProject]:
    made = OneProject(project, redis_url)
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options of what beats in this process send, instead of sending it."""
    found: list[Any] = []
    monkeypatch.setattr(Scheduler, "apply_async", lambda _, entry, **__: found.append(entry.options))
    return found


def ran(beat: Scheduler, *, seconds_ago: float) -> None:
    """Let the hourly task have been sent so long ago, as redis and the beat know it."""
    beat.tick()
    moment = time.time() - seconds_ago
    entry: Any = beat.schedule["jobs.hourly"]
    entry.last_run_at = entry.default_now() - timedelta(seconds=seconds_ago)
    beat._lease.write(beat._sent_key, {"jobs.hourly": moment})

"""Where an attack happens: a project of its own, with servers of its own, which are gone afterwards."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.project import Project, clean_imports
from tests.servers import redis_server
from tests.tasks.workers import TaskProject, task_project

JOBS = """
import time

from opa import task


@task
def double(number):
    return 2 * number


@task
def slow(seconds):
    time.sleep(seconds)
    return seconds
"""


class Report:
    """What was tried, and what was found."""

    def __init__(self) -> None:
        self.tried = 0
        self.found: list[str] = []

    def expect(self, fits: bool, problem: str) -> None:
        """Note one try, and the problem where it does not fit."""
        self.tried += 1
        if not fits:
            self.found.append(problem)
            print(f"FOUND: {problem}", flush=True)

    def exit(self) -> None:
        """End with status 1 where something was found.

        Raises:
            SystemExit: always.
        """
        print(f"{self.tried} tried, {len(self.found)} found")
        sys.exit(1 if self.found else 0)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for what the attack needs."""
    with tempfile.TemporaryDirectory(prefix="opa-attack-") as made:
        yield Path(made)


@contextmanager
def attacked_tasks(*, broker: str = "", backend: str = "") -> Iterator[TaskProject]:
    """A project with the tasks `JOBS`, on a redis of its own where no broker is named."""
    with folder() as place, pytest.MonkeyPatch.context() as monkeypatch, clean_imports():
        (place / "redis").mkdir()
        (place / "project").mkdir()
        with redis_server(place / "redis") as server:
            urls = {"broker": broker or f"{server.url}/1", "backend": backend or f"{server.url}/2"}
            with task_project(Project(place / "project", monkeypatch), **urls) as tasks:
                tasks.plugin("jobs.py", JOBS)
                yield tasks

"""A project whose tasks a test sends, and worker processes that run them."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests import programs
from tests.project import Project, clean_imports
from tests.serve.process import children_of, is_running, wait_until
from tests.servers import redis_server

OURS = ("OPA_", "CELERY_")


class Worker:
    """`opa start` with `MODE=worker`, or another command, as a process of its own."""

    def __init__(self, folder: Path, name: str, command: list[str], environ: dict[str, str]) -> None:
        self.health_file = folder / f"{name}-health.json"
        self._log = folder / f"{name}.log"
        inherited = {
            key: value
            for key, value in os.environ.items()
            if (not key.startswith(OURS) or key == "OPA_SETTINGS_DIR") and key not in ("ENV", "MODE")
        }
        with self._log.open("wb") as log:
            self.process = programs.start(
                command,
                cwd=folder,
                env=inherited
                | {"MODE": "worker", "OPA_LOG_FORMAT": "json", "HEALTH_FILE": str(self.health_file)}
                | environ,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log, parsed; every line is JSON."""
        return [json.loads(line) for line in self.log.splitlines()]

    def says(self, text: str) -> bool:
        assert self.process.poll() is None, self.log
        return text in self.log

    def wait_until_says(self, text: str, *, seconds: float = 60) -> None:
        wait_until(lambda: self.says(text), seconds=seconds, what=lambda: self.log)

    @property
    def health(self) -> dict[str, Any]:
        """What it has noted for the health check."""
        try:
            found: dict[str, Any] = json.loads(self.health_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    @property
    def is_ready(self) -> bool:
        until: float = self.health.get("until", 0)
        return time.time() < until

    def wait_until_ready(self, *, seconds: float = 90) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.log
            return self.is_ready

        wait_until(ready, seconds=seconds, what=lambda: f"the worker is ready\n{self.log}")

    @property
    def children(self) -> list[int]:
        return children_of(self.pid)

    def wait(self, *, seconds: float = 40) -> int:
        """Wait until it has ended, and give its exit status."""
        return self.process.wait(seconds)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 40) -> int:
        """Send it a signal, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds=seconds)

    def destroy(self) -> None:
        """End it, and what it has started, at once."""
        if self.process.poll() is None:
            left = self.children
            self.process.kill()
            self.process.wait()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(is_running(pid) for pid in left), what="the children of the worker are gone")


class TaskProject:
    """A project with the component `celery`; the test sends its tasks, workers run them."""

    def __init__(self, project: Project, *, broker: str, backend: str) -> None:
        self.project = project
        self.broker = broker
        self.backend = backend
        self._workers = ExitStack()
        self._number = 0
        self.component()

    def component(self, **opts: Any) -> None:
        """Add options of the component `celery`."""
        self.project.component("CELERY", "celery", BROKER_URL=self.broker, BACKEND_URL=self.backend, **opts)

    @property
    def folder(self) -> Path:
        return self.project.folder

    def plugin(self, name: str, text: str) -> Path:
        return self.project.plugin(name, text)

    def settings(self, **settings: Any) -> None:
        self.project.settings(**settings)

    def start(self, *command: str, **environ: str) -> Worker:
        """Start a worker, or another command, and do not wait."""
        self._number += 1
        worker = Worker(
            self.folder,
            f"worker-{self._number}",
            [*command] or [programs.OPA, "start"],
            environ,
        )
        # Pytest shows it where the test fails.
        self._workers.callback(lambda: print(worker.log))
        self._workers.callback(worker.destroy)
        return worker

    def worker(self, params: str = "-c 1", **environ: str) -> Worker:
        """Start a worker with `CELERY_PARAMS`, and wait until it takes tasks.

        It does not look for other workers, for which it would wait a second.
        """
        worker = self.start(CELERY_PARAMS=f"{params} --without-mingle --without-gossip", **environ)
        worker.wait_until_ready()
        return worker

    @contextmanager
    def sending(self) -> Iterator[TestClient]:
        """The api in this process, from which tasks can be sent."""
        with self.project.client() as client:
            yield client

    def module(self, name: str) -> Any:
        """A module of a plugin, as the api in this process has imported it."""
        return importlib.import_module(name)

    def close(self) -> None:
        self._workers.close()


@contextmanager
def lasting_task_project(
    tmp_path_factory: pytest.TempPathFactory, *, broker: str = "", backend: str = ""
) -> Iterator[TaskProject]:
    """A project for a fixture that several tests share, with a redis of its own where none is named."""
    with ExitStack() as stack:
        if not broker:
            server = stack.enter_context(redis_server(tmp_path_factory.mktemp("redis")))
            broker, backend = f"{server.url}/1", f"{server.url}/2"
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(clean_imports())
        project = Project(tmp_path_factory.mktemp("project"), monkeypatch)
        yield stack.enter_context(task_project(project, broker=broker, backend=backend))


@contextmanager
def task_project(project: Project, *, broker: str, backend: str) -> Iterator[TaskProject]:
    """Its workers are gone in the end."""
    tasks = TaskProject(project, broker=broker, backend=backend)
    try:
        yield tasks
    finally:
        tasks.close()

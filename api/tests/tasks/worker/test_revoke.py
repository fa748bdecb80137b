from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import states
from celery.worker import control, state

from opa import get_plugin_manager
from opa.tasks.application import TaskApplication, application_of
from opa.tasks.brokers.redis_results import RedisBackend
from opa.tasks.worker.commands import Node
from opa.tasks.worker.state_writer import StateWriter
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import task_project

LONG = 60


class Backend:
    """The server of results, which answers once it is told to."""

    def __init__(self, **found: str) -> None:
        self.states = found
        self.answers = threading.Event()
        self.revoked: list[str] = []

    def get_state(self, task_id: str) -> str:
        assert self.answers.wait(LONG)
        return self.states.get(task_id, states.PENDING)

    def mark_as_revoked(self, task_id: str, **_: Any) -> None:
        self.revoked.append(task_id)


class Worker:
    """As much of a worker as the command needs."""

    def __init__(self, backend: Backend) -> None:
        self.writer = StateWriter()
        app = SimpleNamespace(backend=backend, state_writer=self.writer)
        mailbox: Any = SimpleNamespace(clock=SimpleNamespace(adjust=lambda _: None))
        worker = SimpleNamespace(app=app, consumer=SimpleNamespace(pool="pool"))
        self.node = Node("celery@here", worker, None, control.Panel.data, mailbox)

    def command(self, method: str, **arguments: Any) -> Any:
        return self.node.handle_message({"method": method, "arguments": arguments})


class Request:
    """A task in the hands of the worker."""

    def __init__(self, task_id: str, backend: Backend) -> None:
        self.id = task_id
        self.task = SimpleNamespace(backend=backend)
        self.ended: list[Any] = []

    def terminate(self, pool: Any, signal: Any) -> None:
        self.ended.append((pool, signal))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    state.revoked.clear()
    state.requests.clear()


def test_a_worker_answers_a_command_to_revoke_before_the_server_of_results_does() -> None:
    backend = Backend(done=states.SUCCESS, runs=states.STARTED)
    worker = Worker(backend)
    ids = [*(f"id-{number}" for number in range(998)), "done", "runs"]
    answer = worker.command("revoke", task_id=ids)
    assert "flagged as revoked" in answer["ok"]
    assert all(task_id in state.revoked for task_id in ids)
    assert backend.revoked == []
    backend.answers.set()
    worker.writer.finish(LONG)
    assert sorted(backend.revoked) == sorted(ids[:-2])  # one with a result, or of another worker, stays as it is


@pytest.mark.parametrize("method", ["revoke", "terminate"])
def test_tasks_that_run_are_terminated_and_their_state_is_not_touched_by_the_command(method: str) -> None:
    backend = Backend()
    backend.answers.set()
    worker = Worker(backend)
    running, waiting = Request("running", backend), Request("waiting", backend)
    state.requests.update({"running": running, "waiting": waiting})
    state.active_requests.add(running)
    arguments = {"signal": "KILL"} | ({"terminate": True} if method == "revoke" else {})
    answer = worker.command(method, task_id=["running", "waiting", "unknown"], **arguments)
    assert set(answer["ok"].removeprefix("terminate: ").split(", ")) == {"running", "waiting"}
    assert running.ended == waiting.ended == [("pool", 9)]
    worker.writer.finish(LONG)
    assert sorted(backend.revoked) == ["unknown", "waiting"]


def test_to_terminate_tasks_that_are_not_known_says_so() -> None:
    backend = Backend()
    backend.answers.set()
    assert Worker(backend).command("terminate", task_id="a", signal="TERM") == {"ok": "terminate: tasks unknown"}


def test_that_a_task_has_expired_or_was_terminated_is_stored_beside_the_process_that_has_the_broker() -> None:
    app = TaskApplication()
    app.state_writer = StateWriter()
    backend: Any = RedisBackend(app=app, url="redis://127.0.0.1:1")
    answers, stored = threading.Event(), []

    def store(task_id: str, *args: Any, **kwargs: Any) -> None:
        assert answers.wait(LONG)
        stored.append(task_id)

    backend.store_result = store
    backend.mark_as_revoked("a", "expired", request=None, store_result=True)
    backend.mark_as_revoked("b", "terminated", request=None, store_result=True)
    assert stored == []
    answers.set()
    app.state_writer.finish(LONG)
    assert stored == ["a", "b"]


JOBS = "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n"


def test_a_worker_goes_on_while_a_server_of_results_that_hangs_is_to_know_of_1000_revoked_tasks(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    broker, results = start_redis(), start_redis()
    with task_project(project, broker=f"{broker.url}/1", backend=f"{results.url}/2") as tasks:
        tasks.plugin("jobs.py", JOBS)
        worker = tasks.worker("-c 1")
        with tasks.sending():
            jobs = tasks.module("jobs")
            app: Any = application_of(get_plugin_manager())
            assert jobs.double.delay(1).get(timeout=LONG) == 2
            results.hang()
            app.control.revoke([f"id-{number}" for number in range(1000)])
            # Celery would ask for each id first, for seconds.
            assert app.control.broadcast("ping", reply=True, limit=1, timeout=LONG)
            worker.wait_until_says("cannot be stored, nor can ")
            results.go_on()
            task = jobs.double.apply_async((3,), task_id="id-5")
            wait_until(lambda: task.state == states.REVOKED, what="the task is revoked")
        assert worker.stop() == 0

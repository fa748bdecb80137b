"""Observers are told what becomes of tasks, in the process where it happens, and harm no task."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from opa.errors import RegistrationError
from opa.tasks.observing.run import TaskRun, queue_in
from tests.project import Project
from tests.serve.process import wait_until
from tests.tasks.shop import SHOP
from tests.tasks.workers import TaskProject

OBSERVER = """
import json
import os
from pathlib import Path

from opa import TaskObserver, register

FILE = Path(__file__).parents[1] / "events.jsonl"


@register("task_observers")
class Notes(TaskObserver):
    pass


def note(event):
    def method(self, run, *more):
        fields = {name: getattr(run, name) for name in (
            "id", "task", "plugin", "queue", "worker", "tries", "sent_at", "started_at", "ended_at", "reason",
            "arguments", "traceback", "body",
        )}
        entry = {"event": event, "pid": os.getpid(), **fields, "result": repr(run.result), "error": repr(run.error)}
        entry |= {"by": vars(run.by), "more": more}
        with FILE.open("a") as file:
            file.write(json.dumps(entry) + "\\n")
    return method


for event in "sent received started logged retried given_back succeeded failed revoked dead".split():
    setattr(Notes, event, note(event))


@register("task_observers")
class Broken(TaskObserver):
    def started(self, run):
        raise ValueError("this observer is broken")
"""

WRONG = """
from opa import register, task


@register("task_observers")
def observe(run): ...


@task
def some(): ...
"""


class Events:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "events.jsonl"

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def of(self, task_id: str) -> list[dict[str, Any]]:
        return [event for event in self.all() if event["id"] == task_id]

    def names(self, task_id: str) -> list[str]:
        return [event["event"] for event in self.of(task_id) if event["event"] != "logged"]

    def wait_for(self, task_id: str, event: str) -> dict[str, Any]:
        wait_until(lambda: event in self.names(task_id), seconds=60, what=lambda: f"{event} in {self.of(task_id)}")
        return next(found for found in self.of(task_id) if found["event"] == event)


def test_each_step_of_a_task_is_told(any_tasks: TaskProject) -> None:
    tasks = any_tasks
    tasks.plugin("notes.py", OBSERVER)
    tasks.plugin("shop.py", SHOP)
    tasks.settings(TASK_DELIVERY_LIMIT=2, REQUEST_ID=True, GRACEFUL_TIMEOUT=1)
    events = Events(tasks.folder)
    worker = tasks.worker()
    with tasks.sending() as client:
        shop = tasks.module("shop")

        # One that succeeds, sent by a request.
        by_route = client.post("/add/1").json()
        done = events.wait_for(by_route, "succeeded")
        assert sorted(events.names(by_route)) == ["received", "sent", "started", "succeeded"]
        assert (done["task"], done["plugin"], done["queue"], done["tries"]) == ("shop.add", "shop", "celery", 1)
        assert done["result"] == "2"
        request_id = done["by"]["request_id"]
        assert request_id
        assert done["sent_at"] <= done["started_at"] <= done["ended_at"]
        assert done["worker"].startswith("celery@")
        assert done["pid"] in worker.children
        sent = events.wait_for(by_route, "sent")
        assert sent["pid"] == os.getpid()
        assert json.loads(sent["body"])[0] == [1]
        [line] = [event["more"][0] for event in events.of(by_route) if event["event"] == "logged"]
        assert "adding 1" in line
        assert f"request_id='{request_id}'" in line

        # Arguments that are secret are masked.
        secret = shop.add.apply_async((1,), {"password": "hunter2"}).id
        events.wait_for(secret, "succeeded")
        assert all("hunter2" not in event["arguments"] for event in events.of(secret))

        # The log of a coroutine and of its thread; what it sends has it as its parent.
        awaited = shop.awaited.delay(1).id
        events.wait_for(awaited, "succeeded")
        said = [event["more"][0] for event in events.of(awaited) if event["event"] == "logged"]
        assert any("in a coroutine" in line and "\x1b" not in line for line in said)
        assert any("in its thread" in line for line in said)
        assert any(event["by"]["parent"] == awaited for event in events.all() if event["event"] == "sent")

        unfit = events.wait_for(shop.unfit.delay().id, "failed")
        assert "JSON" in unfit["error"]

        # The error has the frames of the plugin.
        fails = events.wait_for(shop.fails.delay("bread").id, "failed")
        assert "LookupError('no bread')" in fails["error"]
        assert "shop.py" in fails["traceback"]
        assert "celery/app/trace.py" not in fails["traceback"]

        again = shop.again.delay().id
        assert events.wait_for(again, "succeeded")["tries"] == 2
        assert events.names(again).count("sent") == 1
        assert "not yet" in events.wait_for(again, "retried")["error"]
        assert {event["by"]["parent"] for event in events.of(again)} == {""}, "a retry is not sent by itself"

        assert events.wait_for(shop.rejects.delay().id, "dead")["reason"] == "rejected"
        assert events.wait_for(shop.ignores.delay().id, "succeeded")["reason"] == "ignored"
        limited = shop.limited.delay().id
        assert "TimeLimitExceeded" in events.wait_for(limited, "failed")["error"]

        # The broker gives one to another process until it is given up.
        kills = shop.kills.delay().id
        assert events.wait_for(kills, "dead")["reason"] == "delivery_limit"
        assert sorted(events.names(kills)) == [
            "dead",
            "given_back",
            "received",
            "received",
            "sent",
            "started",
            "started",
        ]

        # Revoked before it has begun, and while it runs.
        sleeps = shop.sleeps.delay().id
        events.wait_for(sleeps, "started")
        waits = shop.add.delay(1)
        waits.revoke()
        shop.sleeps.AsyncResult(sleeps).revoke(terminate=True)
        assert events.wait_for(sleeps, "revoked")["reason"] == "terminated"
        assert events.wait_for(waits.id, "revoked")["reason"] == "revoked"
        assert events.names(waits.id).count("started") == 0

        # No task of this worker: it is dead at once.
        unknown = shop.add.app.send_task("nobody.has_this").id
        assert "no plugin" in events.wait_for(unknown, "dead")["reason"]

        # A worker that stops gives back what runs.
        runs = shop.sleeps.delay().id
        events.wait_for(runs, "started")
        worker.stop()
        assert "stops" in events.wait_for(runs, "given_back")["reason"]
        assert events.names(kills).count("dead") == 1
    said = [
        line for line in worker.lines if "the observer plugins" in line["message"] or "failed in" in line["message"]
    ]
    assert said
    assert all("of plugin 'notes'" in line["message"] for line in said)
    processes = {line["process"] for line in said}
    assert len(said) == len(processes), "it is said once a process"


def test_threads_tell_the_same(tasks: TaskProject) -> None:
    tasks.plugin("notes.py", OBSERVER)
    tasks.plugin("shop.py", SHOP)
    tasks.settings(GRACEFUL_TIMEOUT=1)
    events = Events(tasks.folder)
    worker = tasks.worker("-P threads -c 4")
    with tasks.sending():
        shop = tasks.module("shop")
        ids = {name: getattr(shop, name).delay(*args).id for name, args in (("add", (1,)), ("fails", (1,)))}
        awaited = shop.awaited.delay(1).id
        assert events.wait_for(ids["add"], "succeeded")["result"] == "2"
        assert events.wait_for(ids["fails"], "failed")["pid"] == worker.pid
        events.wait_for(awaited, "succeeded")
        said = [event["more"][0] for event in events.of(awaited) if event["event"] == "logged"]
        assert any("in its thread" in line for line in said)
        assert all("adding" not in line for line in said), "lines of another task"
        runs = shop.sleeps.delay().id
        events.wait_for(runs, "started")
        worker.stop()
        events.wait_for(runs, "given_back")


def test_a_function_in_the_group_of_observers_stops_the_start(project: Project) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://localhost:1/0")
    project.plugin("wrong.py", WRONG)
    with pytest.raises(RegistrationError, match="'task_observers' is a function, not a TaskObserver"):
        project.prepare()


COROUTINE = """
import functools
from opa import TaskObserver, register, task


def wrapped(function):
    return functools.wraps(function)(lambda *arguments: function(*arguments))


@register("task_observers")
class Wrong(TaskObserver):
    async def failed(self, run): ...

    async def state(self, task_id): ...


@task
def some(): ...
"""


@pytest.mark.parametrize("decorator", ["", "@wrapped"])
def test_an_observer_that_nobody_would_await_stops_the_start(project: Project, decorator: str) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://localhost:1/0")
    project.plugin("wrong.py", COROUTINE.replace("    async def failed", f"    {decorator}\n    async def failed"))
    with pytest.raises(RegistrationError, match=r"'wrong\.Wrong' .* has an async def 'failed', which nobody awaits"):
        project.prepare()


EXITS = """
import sys
from opa import TaskObserver, register, task

told = []


@register("task_observers")
class Exits(TaskObserver):
    def started(self, run):
        sys.exit(1)

    def succeeded(self, run):
        stop()

    def cancelled(self):
        return [1, ["x"], "id"]


@register("task_observers")
class Other(TaskObserver):
    def started(self, run):
        told.append(run.id)


exec("def stop(): raise SystemExit(0)", {"__name__": "billiard.common"}, found := {})
stop = found["stop"]


@task
def some(): ...
"""


def test_an_observer_that_exits_ends_nothing_and_a_signal_that_ends_the_process_does(project: Project) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://localhost:1/0")
    project.plugin("exits.py", EXITS)
    observers = project.prepare().celery.observers
    run = TaskRun("1", "exits.some")
    observers.tell("started", run)
    assert importlib.import_module("exits").told == ["1"]
    assert list(observers.cancelled()) == ["id"]
    with pytest.raises(SystemExit):
        observers.tell("succeeded", run)


def test_without_observers_nothing_is_listened_to(tasks: TaskProject) -> None:
    tasks.plugin("shop.py", SHOP)
    with tasks.sending():
        app = tasks.module("shop").add.app
        assert app.observers is None


@pytest.mark.parametrize(
    ("key", "queue"),
    [("celery", "celery"), ("0." * 28 + "slow.queue", "slow.queue"), ("0.1.2", "0.1.2"), (None, ""), (3, "")],
)
def test_the_queue_of_a_routing_key(key: object, queue: str) -> None:
    assert queue_in(key) == queue

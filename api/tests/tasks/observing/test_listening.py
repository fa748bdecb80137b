"""Functions of plugins are told of failures, and disturb no task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opa.errors import RegistrationError
from tests.project import Project
from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject

PLUGIN = """
import asyncio, json, os, time
import billiard
from pathlib import Path
from opa import get_instance, register, task

FILE = Path(__file__).parents[1] / "told.jsonl"

@task
def fails(password): raise LookupError("no such page, token=hunter2hunter2")

@task
async def fails_too(): raise ValueError("later")

@task(max_retries=1, autoretry_for=(OSError,), retry_backoff=0.01)
def again(): raise OSError("twice")

@task(time_limit=1)
def long(): time.sleep(60)

@task
def kills(): os.kill(os.getpid(), 9)

@task
def fine(): ...

def note(name, run):
    entry = {"name": name, "id": run.id, "task": run.task, "plugin": run.plugin, "tries": run.tries,
             "arguments": run.arguments, "traceback": run.traceback, "reason": run.reason, "pid": os.getpid()}
    with FILE.open("a") as file:
        file.write(json.dumps(entry) + "\\n")

@register("on_task_failed")
def raises(run): raise RuntimeError("no")

@register("on_task_failed")
async def failed(run):
    await asyncio.sleep(0)
    if "ForkPool" in billiard.current_process().name:
        get_instance("celery")  # on the loop on which the components of the process are
    note("failed", run)

@register("on_task_failed")
def hangs(run): time.sleep(600)

@register("on_task_dead")
def dead(run): note("dead", run)
"""


def told(tasks: TaskProject) -> list[dict[str, Any]]:
    file: Path = tasks.folder / "told.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_functions_are_told_of_each_failure_and_dead_letter_and_disturb_nothing(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", PLUGIN)
    tasks.settings(TASK_DELIVERY_LIMIT=2, TASK_VISIBILITY_TIMEOUT=3600)
    with tasks.sending():
        jobs = tasks.module("jobs")
        worker = tasks.worker("-c 2")
        sent = {
            name: getattr(jobs, name).delay(**({"password": "hunter2"} if name == "fails" else {})).id
            for name in ("fails", "fails_too", "again", "long")
        }
        unknown = jobs.fine.app.send_task("nobody.has_this").id
        expected = {*(f"jobs.{name}" for name in sent), "nobody.has_this"}
        wait_until(lambda: {entry["task"] for entry in told(tasks)} == expected, what=lambda: worker.log)
        jobs.kills.delay()
        wait_until(lambda: "jobs.kills" in {entry["task"] for entry in told(tasks)}, what=lambda: worker.log)
        # Whatever hangs, tasks run on, and the worker ends.
        assert jobs.fine.delay().get(timeout=60) is None
        assert worker.stop() == 0
    found = {entry["task"]: entry for entry in told(tasks)}
    fails = found["jobs.fails"]
    assert (fails["id"], fails["plugin"], fails["name"]) == (sent["fails"], "jobs", "failed")
    assert "jobs.py" in fails["traceback"]
    assert fails["traceback"].strip().splitlines()[-1].startswith("LookupError: no such page")
    assert "hunter2" not in json.dumps(told(tasks))
    assert found["jobs.again"]["tries"] == 2
    assert sum(entry["name"] == "failed" for entry in told(tasks)) == 4
    assert "TimeLimitExceeded" in found["jobs.long"]["traceback"]
    assert (found["jobs.kills"]["name"], found["jobs.kills"]["reason"]) == ("dead", "delivery_limit")
    assert (found["nobody.has_this"]["name"], found["nobody.has_this"]["id"]) == ("dead", unknown)
    assert "on_task_failed: 'jobs.raises' failed: RuntimeError: no" in worker.log


def test_what_is_no_function_is_refused_at_the_start(project: Project) -> None:
    project.plugin("jobs.py", "from opa import task\nTEXT = 'x'\n\n@task\ndef some(): ...\n")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1/1", BACKEND_URL="redis://127.0.0.1:1/2")
    for group in ("on_task_failed", "on_task_dead", "on_schedule_missed"):
        project.settings(PLUGINS={group: ["jobs.TEXT"]})
        with pytest.raises(RegistrationError, match=f"'jobs.TEXT' in the group '{group}' is a str, not a function"):
            project.prepare()

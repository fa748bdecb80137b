"""A worker and a beat with a schedule of one second, which tests take through the states of a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject, Worker

JOBS = """
import os
import time
from pathlib import Path

from opa import get_router, log, task

router = get_router()
done = Path(__file__).parent.parent / "done"


def note(name):
    with done.open("a") as file:
        file.write(f"{name}\\n")


@task
def job(name):
    note(name)
    return name


@task
def long_job(name):
    note(f"{name} begins")
    while not (done.parent / "go").exists():
        time.sleep(0.05)
    note(name)
    return name


@task(schedule=1, bind=True)
def tick(self):
    note(f"tick {self.request.id}")


@router.post("/jobs/{name}")
async def send(name: str) -> str:
    return (await job.send(name)).id


@router.get("/jobs/{task_id}")
def state(task_id: str) -> str:
    return job.AsyncResult(task_id).state
"""


@dataclass(frozen=True)
class Running:
    """What runs, and what its tasks have noted."""

    tasks: TaskProject
    worker: Worker
    beat: Worker

    def done(self) -> list[str]:
        file = self.tasks.folder / "done"
        return file.read_text().splitlines() if file.exists() else []


def run(tasks: TaskProject) -> Running:
    """Start both, and wait until they work."""
    tasks.plugin("jobs.py", JOBS)
    # With events, mingle and gossip: whatever a worker may do with its broker.
    worker = tasks.start(CELERY_PARAMS="-c 2 -E")
    beat = tasks.start(MODE="beat")
    worker.wait_until_ready(seconds=90)
    wait_until(lambda: "is sent" in beat.log)
    return Running(tasks, worker, beat)


class Since:
    """What a process says from now on."""

    def __init__(self, process: Worker) -> None:
        self._process = process
        self._before = len(process.lines)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return self._process.lines[self._before :]

    def says(self, *texts: str) -> bool:
        """Whether it has said one of them; it has to live."""
        assert self._process.process.poll() is None, self._process.log
        return any(text in line["message"] for line in self.lines for text in texts)


def check_lines(worker: Since, beat: Since) -> None:
    """The trouble is said in few lines, none is of an error that nobody foresaw; beat has sent nothing twice."""
    lines = [*worker.lines, *beat.lines]
    errors = [f"{line['message']}: {line['exception']}"[-6000:] for line in lines if "exception" in line]
    assert not errors, errors[0]
    assert sum(line["logger"] == "opa.tasks.worker.reconnects" for line in lines) <= 4
    sent = [line["message"] for line in beat.lines if "is sent, id" in line["message"]]
    assert len(set(sent)) == len(sent)

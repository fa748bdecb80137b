"""Processes of each mode that are told to stop while code of a plugin blocks their start."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.serve.process import children_of, free_port, is_running, wait_until
from tests.tasks.workers import TaskProject, Worker

BLOCKED = """
import os
import time
from pathlib import Path

from opa import Setup, register, task


def block():
    if os.environ.get("BLOCKS") == "always" or Path("blocks").exists():
        with Path("blocked.txt").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(600)


@task
def job():
    pass


class Blocked(Setup):
    def __init__(self):
        block()


@register("before_beat")
def prepared():
    block()
"""
SETUP = "does not leave setup Blocked of plugin 'blocked' ("
STARTS: Mapping[str, tuple[dict[str, str], int, str]] = {
    "api": ({"MODE": "api", "WEB_CONCURRENCY": "2"}, 2, SETUP),
    "api in development": ({"MODE": "api", "OPA_RELOAD": "true"}, 1, SETUP),
    "worker with threads": ({"CELERY_PARAMS": "-P threads"}, 1, SETUP),
    "beat": ({"MODE": "beat"}, 1, "does not leave 'blocked.prepared' of the group before_beat"),
}
"""Variables, how many processes block, and what the log says of each."""


def blocked(folder: Path) -> set[int]:
    file = folder / "blocked.txt"
    return set(map(int, file.read_text().split())) if file.exists() else set()


def told_twice(process: Worker, number: int) -> None:
    """As by an impatient user, or by an orchestrator and a terminal."""
    process.process.send_signal(number)
    process.process.send_signal(number)


def test_code_that_blocks_a_start_does_not_keep_a_process_that_is_told_to_stop(tasks: TaskProject) -> None:
    tasks.plugin("blocked.py", BLOCKED)
    processes = {
        name: tasks.start(BLOCKS="always", OPA_PORT=str(free_port()), **environ)
        for name, (environ, _, _) in STARTS.items()
    }
    count = sum(count for _, count, _ in STARTS.values())
    wait_until(lambda: len(blocked(tasks.folder)) == count, what=lambda: "\n".join(p.log for p in processes.values()))
    started = blocked(tasks.folder) | {child for p in processes.values() for child in children_of(p.pid)}
    for number, process in zip((signal.SIGTERM, signal.SIGINT) * 2, processes.values(), strict=True):
        told_twice(process, number)
    for name, process in processes.items():
        _, count, words = STARTS[name]
        assert process.wait(seconds=240) == 0, (name, process.log)
        assert process.log.count(words) == count, (name, process.log)
        assert "out of memory" not in process.log
    assert not any(map(is_running, started))


def test_a_child_of_a_worker_that_blocks_as_it_takes_the_place_of_another_does_not_keep_the_worker(
    tasks: TaskProject,
) -> None:
    tasks.plugin("blocked.py", BLOCKED)
    worker = tasks.worker("-c 1")
    (child,) = worker.children
    (tasks.folder / "blocks").touch()
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: blocked(tasks.folder), what=lambda: worker.log)
    assert worker.stop(seconds=240) == 0
    assert worker.log.count(SETUP) == 1
    assert not any(map(is_running, blocked(tasks.folder)))

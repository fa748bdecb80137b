"""The queue, its exchange and its binding are deleted while a worker takes tasks and 1,000 are sent: what is run?"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.attacks.place import Report, attacked_tasks
from tests.rabbitmq import RabbitMQ, rabbitmq_server
from tests.serve.process import wait_until

JOBS = """
from pathlib import Path

from opa import task

runs = Path(__file__).parent.parent / "runs"


@task(ignore_result=True)
def note(number):
    with runs.open("a") as file:
        file.write(f"{number}\\n")
"""
SENDS, SENDERS, ROUNDS = 1000, 8, 20
PAUSE = 3.0
"""Seconds between two deletions."""
TAKEN_WITHIN = 1.0
"""Seconds in which the worker has surely taken what waits: what is younger when its queue is deleted goes with it."""


class Sends:
    """Tasks that several threads send until they are told to stop, or there were enough."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self.confirmed: dict[int, tuple[float, float]] = {}
        self.refused: list[str] = []
        self.slowest = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(index,)) for index in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        while not self._stop.is_set() or len(self.confirmed) < SENDS:
            began = time.monotonic()
            try:
                self._task.apply_async((number,))
            except Exception as error:  # it is counted: a send may be refused, and never lost
                self.refused.append(f"{type(error).__name__}: {error}")
            else:
                self.confirmed[number] = began, time.monotonic()
            self.slowest = max(self.slowest, time.monotonic() - began)
            number += SENDERS
            time.sleep(0.3)

    def end(self) -> None:
        """Wait until there were enough."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def attack(name: str, runs: Path, task: Any, delete: Callable[[], Any], report: Report) -> None:
    """Delete something again and again while tasks are sent, and look which have run."""
    runs.write_text("")
    sends, deletions = Sends(task), list[tuple[float, float]]()
    for _ in range(ROUNDS):
        time.sleep(PAUSE)
        began = time.monotonic()
        delete()
        deletions.append((began, time.monotonic()))
    sends.end()
    goes = deletions if name == "queue" else []

    def missing() -> set[int]:
        return sends.confirmed.keys() - {int(line) for line in runs.read_text().split()}

    def unexplained() -> set[int]:
        return {number for number in missing() if not _went_with_its_queue(sends.confirmed[number], goes)}

    with suppress(AssertionError):
        wait_until(lambda: not unexplained(), seconds=30)
    lost = unexplained()
    print(
        f"{name}: {len(sends.confirmed)} confirmed, {len(missing())} gone with their queue, {len(lost)} lost,"
        f" {len(sends.refused)} refused {sorted(set(sends.refused))[:3]}, the slowest took {sends.slowest:.1f} s",
        flush=True,
    )
    report.expect(not lost, f"{name}: {len(lost)} are lost")


def _went_with_its_queue(sent: tuple[float, float], deletions: list[tuple[float, float]]) -> bool:
    began, confirmed = sent
    return any(began < end and start < confirmed + TAKEN_WITHIN for start, end in deletions)


def main() -> None:
    """Attack it, and say what was lost; an argument selects what is deleted."""
    report = Report()
    with rabbitmq_server() as server, attacked_tasks(broker=server.virtual_host()) as tasks:
        tasks.plugin("notes.py", JOBS)
        tasks.worker("-c 4")
        with tasks.sending():
            task = tasks.module("notes").note
            for name, delete in deletions_of(server, urlsplit(tasks.broker).path.strip("/")).items():
                if name in (sys.argv[1:] or [name]):
                    attack(name, tasks.folder / "runs", task, delete, report)
    report.exit()


def deletions_of(server: RabbitMQ, virtual_host: str) -> dict[str, Callable[[], Any]]:
    """What can be deleted, and how."""

    def binding() -> None:
        path = f"/bindings/{virtual_host}/e/celery/q/celery"
        for found in server.api("GET", path):
            server.api("DELETE", f"{path}/{quote(found['properties_key'], safe='')}")

    return {
        "queue": lambda: server.api("DELETE", f"/queues/{virtual_host}/celery"),
        "exchange": lambda: server.api("DELETE", f"/exchanges/{virtual_host}/celery"),
        "binding": binding,
        "virtual host restarted": lambda: server.control("restart_vhost", "--vhost", virtual_host),
    }


if __name__ == "__main__":
    main()

"""Events of workers and tasks that do not exist, without end, and what they cost Flower in memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from celery.events.event import get_exchange

from opa import get_plugin_manager
from opa.tasks.application import application_of
from tests.attacks.place import Report, attacked_tasks
from tests.serve.process import wait_until
from tests.serve.test_flower import EVENT, Flower

EVENTS = 14_000
MOST_MEGABYTES = 30
"""That it may take more after all than after the first half; it keeps 1,000 tasks."""


def main() -> None:
    """Attack it, and say what was found."""
    report = Report()
    with attacked_tasks() as tasks:
        flower = Flower(tasks, FLOWER_BASIC_AUTH="mary:hunter2", FLOWER_MAX_TASKS="1000")
        flower.wait_until_up()
        with tasks.sending():
            app: Any = application_of(get_plugin_manager())
            with app.connection_for_write() as connection, connection.Producer() as producer:
                exchange = get_exchange(connection)

                def send(**fields: Any) -> None:
                    event = {**EVENT, "timestamp": time.time(), **fields}
                    options: Any = {"exchange": exchange, "declare": [exchange], "routing_key": "worker.x"}
                    producer.publish(event, serializer="json", **options)

                def is_seen() -> bool:
                    send(hostname="celery@real")
                    return "celery@real" in flower.text("/workers?json=1", "mary:hunter2")

                wait_until(is_seen, what="flower hears events")
                used = []
                for half in range(2):
                    for number in range(half * EVENTS // 2, (half + 1) * EVENTS // 2):
                        send(hostname=f"celery@{number}")
                        send(
                            type="task-succeeded", uuid=str(number), name=f"task.{number}", hostname=f"celery@{number}"
                        )
                    wait_until(is_seen, what="flower hears events")
                    used.append(megabytes(flower.process.pid))
                print("MB:", *used)
                report.expect(used[1] - used[0] < MOST_MEGABYTES, f"it takes {used} MB")
        for path in ("/", "/tasks", "/workers", "/metrics"):
            report.expect(flower.status(path, "mary:hunter2") == 200, f"{path} is not shown")
        report.expect("Traceback" not in flower.process.log, "the log has a traceback")
    report.exit()


def megabytes(pid: int) -> int:
    """The memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()

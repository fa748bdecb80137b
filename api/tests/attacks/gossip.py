"""Events of workers, elections and tasks that do not exist, without end, and what they cost a worker in memory."""

from __future__ import annotations

import time
from typing import Any

from celery.events.event import get_exchange

from opa import get_plugin_manager
from opa.tasks.application import application_of
from tests.attacks.flower import megabytes
from tests.attacks.place import Report, attacked_tasks

EVENTS = 6_000
MOST_MEGABYTES = 15
"""That it may take more after all than after the first half."""
FROM = {"pid": 5, "clock": 1, "utcoffset": 0}


def main() -> None:
    """Attack it, and say what was found."""
    report = Report()
    with attacked_tasks() as tasks:
        worker = tasks.start(CELERY_PARAMS="-c 1")
        worker.wait_until_ready()
        with tasks.sending():
            app: Any = application_of(get_plugin_manager())
            with app.connection_for_write() as connection, connection.Producer() as producer:
                exchange = get_exchange(connection)

                def send(key: str, **fields: Any) -> None:
                    event = {**FROM, "timestamp": time.time(), **fields}
                    options: Any = {"exchange": exchange, "declare": [exchange], "routing_key": key}
                    producer.publish(event, serializer="json", headers={"hostname": fields["hostname"]}, **options)

                used = []
                for half in range(2):
                    for number in range(half * EVENTS // 2, (half + 1) * EVENTS // 2):
                        name, text = f"celery@{number}", f"{number:04}" * 2000
                        candidate = {"hostname": name, "topic": "task", "action": text, "cver": 1}
                        send("worker.elect", type="worker-elect", id=name, **candidate)
                        send("worker.x", type="task-received", uuid=text, name=text, hostname=name)
                        send("worker.x", type="worker-heartbeat", sw_ident=text, hostname=f"celery@{number % 5000}")
                    report.expect(bool(app.control.ping(timeout=60, limit=1)), "the worker does not answer")
                    used.append(megabytes(worker.pid))
                print("MB:", *used)
                report.expect(used[1] - used[0] < MOST_MEGABYTES, f"it takes {used} MB")
            answer = tasks.module("jobs").double.delay(2).get(timeout=60)
            report.expect(answer == 4, "a task does not run")
    report.exit()


if __name__ == "__main__":
    main()

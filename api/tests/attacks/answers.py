"""Forged answers to what a worker that starts asks the others."""

from __future__ import annotations

import threading
from typing import Any

from opa import get_plugin_manager
from opa.tasks.application import application_of
from tests.attacks.place import Report, attacked_tasks
from tests.tasks.test_control import forge_greetings


def main() -> None:
    """Attack it, and say what was found."""
    report = Report()
    with attacked_tasks() as tasks, tasks.sending():
        app: Any = application_of(get_plugin_manager())
        stop = threading.Event()
        forgers = [threading.Thread(target=forge_greetings, args=(app, stop)) for _ in range(4)]
        for forger in forgers:
            forger.start()
        try:
            for params in ("-c 1", "-c 1 -E", "-c 1 -P threads", "-c 1 -P solo"):
                worker = tasks.start(CELERY_PARAMS=params)
                worker.wait_until_ready()
                report.expect(tasks.module("jobs").double.delay(4).get(timeout=30) == 8, f"{params}: no task runs")
                report.expect("Traceback" not in worker.log, f"{params}: the log has a traceback")
                report.expect(worker.stop() == 0, f"{params}: it does not stop")
        finally:
            stop.set()
            for forger in forgers:
                forger.join()
    report.exit()


if __name__ == "__main__":
    main()

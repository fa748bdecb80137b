"""The lengths of queues, as a broker tells them: also of one that is deleted, and while the broker is away."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.http.builder import build_app
from tests.plugins.core_metrics.prometheus import Scrape
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.servers import wait_until

PLUGIN = """
from opa import task


@task
def work() -> None:
    pass


@task(queue="mail")
def post() -> None:
    pass
"""


def test_queues_of_rabbitmq_are_shown_and_metrics_answer_while_it_is_away(
    project: Project, start_rabbitmq: Callable[[], RabbitMQ], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_rabbitmq()
    url = server.virtual_host()
    project.component("CELERY", "celery", BROKER_URL=url, BACKEND_URL=f"{redis_url}/11")
    project.settings(METRICS=True)
    project.plugin("jobs.py", PLUGIN)
    app = build_app(project.prepare(mode="worker"))
    queues: Any = importlib.import_module("opa.plugins.core_metrics.queues")
    monkeypatch.setattr(queues, "FRESH", 0)
    jobs: Any = importlib.import_module("jobs")
    with TestClient(app) as client:

        def metrics() -> Scrape:
            return Scrape(client.get("/metrics").raise_for_status().text)

        def shown() -> dict[str, float]:
            found = metrics()
            lengths = {
                name: found.sum("opa_queue_length", queue=name) for name in found.values("opa_queue_length", "queue")
            }
            return {**lengths, "up": found.sum("opa_broker_up"), "dead": found.sum("opa_dead_letters")}

        assert shown() == {"celery": 0, "mail": 0, "up": 1, "dead": 0}, "there are none yet"
        for _ in range(3):
            jobs.work.delay()
        jobs.post.delay()
        wait_until(lambda: shown() == {"celery": 3, "mail": 1, "up": 1, "dead": 0})
        server.api("DELETE", f"/queues/{url.rpartition('/')[2]}/mail")
        wait_until(lambda: shown() == {"celery": 3, "mail": 0, "up": 1, "dead": 0})
        jobs.post.delay()
        wait_until(lambda: shown()["mail"] == 1)

        server.hang()
        try:
            assert shown() == {"celery": 3, "mail": 1, "up": 1, "dead": 0}, "the last that are known"
            assert [each for each in threading.enumerate() if each.name == "queue-lengths"], (
                "nobody waits for the broker"
            )
            monkeypatch.setattr(queues, "KNOWN", 0)
            found = metrics()
            assert found.sum("opa_broker_up") == 0
            assert found.values("opa_queue_length", "queue") == set()
            assert found.sum("opa_processes") == 1
        finally:
            server.go_on()
        monkeypatch.setattr(queues, "KNOWN", 60)
        wait_until(lambda: shown() == {"celery": 3, "mail": 1, "up": 1, "dead": 0})

        server.kill()
        monkeypatch.setattr(queues, "KNOWN", 0)
        assert metrics().sum("opa_broker_up") == 0
        server.start()
        monkeypatch.setattr(queues, "KNOWN", 60)
        wait_until(lambda: shown() == {"celery": 3, "mail": 1, "up": 1, "dead": 0})

"""A collector that is gone, hangs, or refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import free_port, opa_in, wait_until
from tests.tasks.workers import TaskProject

MANY = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BSP_MAX_QUEUE_SIZE": "64",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
}


@contextlib.contextmanager
def gone() -> Iterator[str]:
    yield f"http://127.0.0.1:{free_port()}"


@contextlib.contextmanager
def hanging() -> Iterator[str]:
    """It takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(401, "who are you")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("collector", [gone, hanging, refusing])
def test_a_collector_that_takes_nothing_holds_neither_requests_nor_the_stop(tmp_path: Path, collector: Any) -> None:
    with collector() as url, opa_in(tmp_path / "project") as opa:
        opa.hello()
        opa.start(OTEL_EXPORTER_OTLP_ENDPOINT=url, WEB_CONCURRENCY="1", **MANY)
        opa.wait_until_ready()
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda _: opa.get("/hello"), range(200)))
        assert answers == ["world"] * 200
        wait_until(lambda: "opentelemetry" in opa.log or collector is hanging, what="it is told")
        assert opa.get("/hello") == "world"
        assert opa.stop() == 0
        told = [line for line in opa.log.splitlines() if " opentelemetry." in line]
        assert len(told) <= 1  # a minute
        assert "Traceback" not in opa.log


def test_a_collector_that_hangs_holds_neither_tasks_nor_the_worker(tasks: TaskProject) -> None:
    tasks.plugin("sums.py", "from opa import task\n\n@task\ndef add(one, two):\n    return one + two\n")
    with hanging() as url, tasks.sending():
        worker = tasks.worker("-c 2", OTEL_EXPORTER_OTLP_ENDPOINT=url, **MANY)
        add = tasks.module("sums").add
        sent = [add.delay(number, 1) for number in range(200)]
        assert [result.get(timeout=60) for result in sent] == list(range(1, 201))
        assert worker.stop() == 0

"""Every query of the dashboard finds something in what `/metrics` answers."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from opa import TaskRun, get_component
from opa.http.builder import build_app
from tests.no_answer import NO_ANSWER
from tests.plugins.core_metrics.plugin_parts import GREETING, ODD_ROUTES
from tests.plugins.core_metrics.prometheus import Scrape
from tests.project import Project
from tests.serve.process import free_port, wait_until

DASHBOARD = json.loads((Path(__file__).parents[4] / "docs" / "grafana-dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
FUNCTIONS = {"rate", "increase", "histogram_quantile"}
AGGREGATIONS = {"sum", "min", "max", "count", "topk"}
ADDED_BY_PROMETHEUS = {"job", "instance"}
SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")

PLUGIN = (
    """
from typing import Annotated

from fastapi import WebSocket
from opa import Actor, Hook, HookDefinition, RateLimit, Requires, call_hook, get_router, register, task


@register("authenticators")
class Header:
    kind = "header"

    async def __call__(self, connection):
        return Actor("me", "header", frozenset({"metrics:read"})) if "x-me" in connection.headers else None


"""
    + GREETING
    + """

router = get_router()


@router.get("/hello", dependencies=[RateLimit("1/minute")])
async def hello():
    return call_hook("greeting")


@router.get("/mine")
async def mine(actor: Annotated[Actor, Requires()]):
    return actor.id


"""
    + ODD_ROUTES
    + """

@task
def work() -> None:
    pass
"""
)


@pytest.fixture
def answer(project: Project, redis_url: str) -> Scrape:
    """Of a process in which something of everything has happened."""
    project.component("CELERY", "celery", BROKER_URL=f"{redis_url}/13", BACKEND_URL=f"{redis_url}/14")
    project.component("AIOREDIS", "redis-aioredis", URL=f"{redis_url}/12")
    project.settings(METRICS=True, LOOP_BLOCK_LIMIT=0.05)
    project.plugin("shop.py", PLUGIN)
    app = build_app(project.prepare(mode="worker"))
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/hello", "/hello", "/fails", "/nothing"):
            client.get(path)
        assert client.get("/mine", headers={"x-me": "1"}).json() == "me"
        with client.websocket_connect("/ws"):
            pass
        observer = next(
            value for uri, value in app.manager.groups.get("task_observers").items() if "core_metrics" in uri
        )
        now = time.time()
        run = TaskRun("1", "shop.work", "shop", "celery", sent_at=now - 2, started_at=now - 1, ended_at=now)
        scheduled = TaskRun("2", "shop.work", "shop", "celery", headers={"schedule": "nightly"})
        observer.sent(scheduled)
        for state in ("received", "started", "retried", "started", "failed", "dead"):
            getattr(observer, state)(run)
        app.manager.kept.setdefault("opa.core.loop_watch", {})["shop"] = (1, 0.5)
        app.manager.kept.setdefault("opa.access.counts", {})["key"] = {
            "wrong": 1,
            **dict.fromkeys(("right", "over", "waiting", "unavailable"), 0),
        }

        tell_wait = get_component("aioredis").tell_wait
        assert tell_wait is not None
        tell_wait("connection", 0.1)

        def lag_was_looked_at() -> Scrape | None:
            found = Scrape(client.get("/metrics").text)
            return found if found.sum("opa_event_loop_lag_seconds_count") else None

        return wait_until(lag_was_looked_at)


def test_each_query_names_metrics_labels_and_functions_that_there_are(answer: Scrape) -> None:
    labels: dict[str, set[str]] = {}
    for sample in answer.samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    assert len(QUERIES) > 30
    for query in QUERIES:
        assert query.count("(") == query.count(")")
        selectors = SELECTOR.findall(query)
        assert selectors, query
        known: set[str] = set()
        for name, matchers in selectors:
            assert name in labels, f"{query}\nthere is no {name}"
            used = set(re.findall(r"([a-z_]+)[=!]", matchers))
            assert used <= labels[name] | ADDED_BY_PROMETHEUS, query
            known |= labels[name] | ADDED_BY_PROMETHEUS
            for label, value in re.findall(r'([a-z_]+)="([^"]*)"', matchers):
                assert value in answer.values(name, label), query
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            assert {each.strip() for each in grouped.split(",")} <= known, query
        rest = SELECTOR.sub("", re.sub(r"by \([^)]*\)", "", query))
        assert set(re.findall(r"[a-z_]+(?=\s*\()", rest)) <= FUNCTIONS | AGGREGATIONS, query


@contextmanager
def served(text: str) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
def test_each_query_has_a_result_in_prometheus(answer: Scrape, tmp_path: Path) -> None:
    port = free_port()
    with served(answer.text) as target:
        config = {
            "scrape_configs": [
                {"job_name": "opa", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
            ]
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        command = [
            "prometheus",
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

            def result(query: str) -> list[object]:
                asked = query.replace("$__rate_interval", "30s").replace("$job", ".*")
                url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': asked})}"
                with urllib.request.urlopen(url, timeout=10) as response:
                    found: list[object] = json.loads(response.read())["data"]["result"]
                return found

            def is_scraped() -> bool:
                try:
                    return bool(result("rate(process_cpu_seconds_total[30s])"))
                except NO_ANSWER:
                    return False

            try:
                wait_until(is_scraped, what="Prometheus has asked twice")
                assert [query for query in QUERIES if not result(query)] == []
            finally:
                process.kill()

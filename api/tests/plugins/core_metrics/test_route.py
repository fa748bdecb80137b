"""Who may read the metrics on the port of the api, and what metrics of plugins are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from opa.http.builder import build_app
from tests.plugins.core_metrics.prometheus import Scrape
from tests.project import Project

PLUGIN = """
from prometheus_client import REGISTRY, Counter, Metric

from opa import Actor, RequestObserver, get_router, register

SOLD = Counter("sold", "Sold.", ["what"])


class Stock:
    def collect(self):
        metric = Metric("stock", "Stock.", "gauge")
        metric.add_sample("stock", {}, 7)
        yield metric


class Broken:
    def describe(self):
        return []

    def collect(self):
        raise ValueError("no stock")


REGISTRY.register(Stock())
REGISTRY.register(Broken())


@register("authenticators")
async def by_header(connection):
    scopes = connection.headers.get("x-scopes")
    return None if scopes is None else Actor("me", "header", frozenset(scopes.split()))


@register("request_observers")
class Fails(RequestObserver):
    def ended(self, scope, status, seconds, place, actor):
        raise ValueError("observers fail")


router = get_router()


@router.get("/sell")
def sell():
    SOLD.labels("thing").inc()
"""


def test_metrics_on_the_port_of_the_api_require_the_scope(project: Project) -> None:
    project.settings(METRICS=True)
    project.plugin("shop.py", PLUGIN)
    with project.client() as client:
        assert client.get("/sell").status_code == 200, "an observer that fails disturbs nobody"
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"x-scopes": "shop:read"}).status_code == 403
        answer = client.get("/metrics", headers={"x-scopes": "metrics:read"})
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["cache-control"] == "no-store"
        found = Scrape(answer.text)
        assert found.sum("sold_total", what="thing") == 1
        assert found.sum("stock") == 7
        assert found.sum("opa_http_requests_by_actor_total", kind="header") == 1
        assert "/metrics" not in client.get("/openapi.json").text
        newer = client.get(
            "/metrics", headers={"x-scopes": "metrics:read", "accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert newer.text.endswith("# EOF\n")
        odd = {"x-scopes": "metrics:read", "accept": "application/openmetrics-text; version=abc"}
        assert "sold_total" in client.get("/metrics", headers=odd).text


def test_a_second_application_in_the_process_begins_anew(project: Project) -> None:
    project.settings(METRICS=True)
    project.plugin("shop.py", PLUGIN)
    for _ in range(2):
        with project.client() as client:
            client.get("/sell")
            found = Scrape(client.get("/metrics", headers={"x-scopes": "metrics:read"}).text)
            assert found.sum("sold_total") == 1


@pytest.mark.parametrize(
    ("client", "url", "headers", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", {}, 200),
        ("127.0.0.1", "http://localhost:8000", {}, 200),
        ("127.0.0.1", "http://evil.example", {}, 401),
        ("127.0.0.1", "http://localhost:8000", {"X-Forwarded-For": "9.9.9.9"}, 401),
        ("172.17.0.1", "http://localhost:8000", {}, 401),
    ],
)
def test_in_development_this_machine_itself_may_read_them(
    project: Project, monkeypatch: pytest.MonkeyPatch, client: str, url: str, headers: dict[str, str], status: int
) -> None:
    monkeypatch.setenv("ENV", "dev")
    project.settings(METRICS=True, METRICS_URL="/numbers")
    with TestClient(build_app(project.prepare(mode="api")), base_url=url, client=(client, 1)) as asking:
        assert asking.get("/numbers", headers=headers).status_code == status


def test_without_the_setting_nothing_of_it_is_there(project: Project) -> None:
    project.plugin("shop.py", "from opa import get_router\nrouter = get_router()\n")
    with project.client() as client:
        assert client.get("/metrics").status_code == 404


def test_a_folder_that_cannot_be_written_to_leaves_each_process_with_its_own_numbers(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METRICS_FOLDER", str(tmp_path / "nowhere"))
    project.settings(METRICS=True)
    project.plugin("shop.py", PLUGIN)
    with project.client() as client:
        client.get("/sell")
        found = Scrape(client.get("/metrics", headers={"x-scopes": "metrics:read"}).text)
    assert found.sum("sold_total") == 1

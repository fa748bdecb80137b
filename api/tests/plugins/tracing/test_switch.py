"""What turns traces on, and what is there where nothing does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals

from opa import state
from opa.plugins.tracing import task_spans
from opa.plugins.tracing.resource import resource_of
from opa.plugins.tracing.wanted import asking_variable
from tests.project import Project
from tests.serve.process import Opa, opa_in

IMPORTED = """
import sys

from opa import get_router

router = get_router()


@router.get("/imported")
def imported():
    return sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google", "opa.plugins.tracing")))
"""


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "shop", "OTEL_SDK_DISABLED": "false"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector"}, None),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, None),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, None),
    ],
)
def test_the_standard_variables_turn_traces_on(environ: dict[str, str], variable: str | None) -> None:
    assert asking_variable(environ) == variable


@pytest.mark.parametrize(
    ("mode", "service"),
    [
        ("api", "shop-api"),
        ("worker", "shop-worker"),
        ("beat", "shop-beat"),
        ("flower", "shop-flower"),
        ("shell", "shop-shell"),
        ("command", "shop"),
        (None, "shop"),
    ],
)
def test_a_process_is_named_for_what_it_runs(
    monkeypatch: pytest.MonkeyPatch, project: Project, mode: str | None, service: str
) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    project.settings(PROJECT_NAME="shop")
    for key in ("mode", "runner"):
        monkeypatch.delitem(state, key, raising=False)
    config = project.prepare(mode or "").config
    assert resource_of(config, state.get("mode")).attributes["service.name"] == service


def test_nothing_is_imported_where_no_variable_asks(tmp_path: Path) -> None:
    with opa_in(tmp_path / "project") as opa:
        opa.is_fresh = True
        opa.plugin("imported.py", IMPORTED)
        opa.start(OTEL_SERVICE_NAME="shop", WEB_CONCURRENCY="1")
        opa.wait_until_ready()
        found: list[str] = opa.get("/imported")
        assert "opa.plugins.tracing" in found
        parts = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "google")
        assert [name for name in found if name.startswith(parts)] == []
        own = {name for name in found if name.startswith("opa.plugins.tracing.")}
        assert own == {"opa.plugins.tracing.wanted"}


@pytest.fixture
def imported_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin reads the variables when it is imported, which a test may have done before."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.tracing")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_start_without_the_extra_goes_on_and_says_how_to_install_it(
    project: Project, imported_anew: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without_sdk(name: str, package: str | None = None) -> Any:
        return None if name == "opentelemetry.sdk" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_sdk)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    with project.client() as client:
        assert client.get("/healthz").status_code == 200
    said = capfd.readouterr().err
    assert said.count("OTEL_EXPORTER_OTLP_ENDPOINT asks for traces") == 1
    assert "pip install 'opa-stack[tracing]'" in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "jaegar", "OTEL_TRACES_EXPORTER=jaegar has no exporter that is installed"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/jsun", "OTEL_EXPORTER_OTLP_PROTOCOL=http/jsun is not known"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "such as opentelemetry-exporter-otlp-proto-grpc"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_and_the_start_goes_on(
    project: Project,
    imported_anew: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv(variable, value)
    with project.client() as client:
        assert client.get("/healthz").status_code == 200
    assert said in capfd.readouterr().err


def test_the_headers_of_a_collector_are_masked(opa: Opa) -> None:
    opa.plugin("tells.py", "import os\nfrom opa import log\nlog.info(os.environ['OTEL_EXPORTER_OTLP_HEADERS'])")
    opa.start(
        "check",
        OTEL_EXPORTER_OTLP_HEADERS="x-team=team%2Dkey-77,not a header-88",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert opa.process is not None
    opa.process.wait(60)
    assert "x-team=***" in opa.log
    for secret in ("key-77", "header-88"):
        assert secret not in opa.log


@pytest.fixture
def opa(tmp_path: Path) -> Any:
    with opa_in(tmp_path / "project") as opa:
        yield opa


def test_tasks_that_the_instrumentation_of_celery_traces_are_not_traced_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    instrumentor = SimpleNamespace(is_instrumented_by_opentelemetry=False)
    others = SimpleNamespace(CeleryInstrumentor=lambda: instrumentor)
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.celery", others)
    connected: list[object] = []
    monkeypatch.setattr(type(signals.task_prerun), "connect", lambda signal, *_, **__: connected.append(signal))
    task_spans.connect()
    assert signals.task_prerun in connected
    connected.clear()
    instrumentor.is_instrumented_by_opentelemetry = True
    task_spans.connect()
    assert connected == []

"""What of a span leaves the process."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from opa.plugins.tracing.export import MaskingExporter
from opa.plugins.tracing.masked import LONGEST, LONGEST_NAME


def exported(name: str, attributes: Any = None, *, error: Exception | None = None, status: Any = None) -> ReadableSpan:
    """The span as it is sent."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(MaskingExporter(exporter)))
    with provider.get_tracer("test").start_as_current_span(name, attributes=attributes) as span:
        if error is not None:
            span.record_exception(error)
        if status is not None:
            span.set_status(status)
    (found,) = exporter.get_finished_spans()
    return found


def test_a_span_without_secrets_is_sent_as_it_is() -> None:
    found = exported("GET /orders", {"http.route": "/orders", "size": 3, "parts": ("a", "b")})
    assert found.name == "GET /orders"
    assert found.attributes == {"http.route": "/orders", "size": 3, "parts": ("a", "b")}


def test_queries_are_not_sent() -> None:
    found = exported("GET", {"url.path": "/orders", "url.query": "sk-live=1", "http.url": "http://a/b?c"})
    assert found.attributes == {"url.path": "/orders"}


def test_secrets_are_masked_in_attributes_errors_and_the_status() -> None:
    from opentelemetry.trace import Status, StatusCode

    secret = "redis://:hunter2-abc@cache:6379"
    found = exported(
        "work",
        {"where": secret, "all": [secret, "plain"]},
        error=ValueError(f"{secret} is gone"),
        status=Status(StatusCode.ERROR, secret),
    )
    assert "hunter2" not in found.to_json()
    assert found.attributes is not None
    assert found.attributes["where"] == "redis://:***@cache:6379"
    assert found.status.status_code is StatusCode.ERROR
    assert found.events[0].name == "exception"


def test_an_attribute_that_is_named_like_a_secret_is_masked() -> None:
    given = {"user.password": "planted", "http.request.header.authorization": ["Basic planted"], "token": b"planted"}
    found = exported("work", {**given, "token.count": 3, "api_key": ""})
    assert found.attributes == dict.fromkeys(given, "***") | {"token.count": 3, "api_key": ""}


def test_a_command_has_a_name_and_no_argument() -> None:
    command = {"db.system": "redis", "db.redis.args_length": 1, "db.statement": "AUTH user hunter2"}
    found = exported("AUTH user hunter2", command)
    assert found.name == "AUTH"
    assert found.attributes is not None
    assert found.attributes["db.statement"] == "AUTH ? ?"


def test_found_documents_are_not_sent() -> None:
    found = exported("redis.search", {"redis.search.query": "@mail:ada", "redis.search.xdoc_1.mail": "ada@example.org"})
    assert found.attributes == {}


def test_a_long_text_is_cut() -> None:
    found = exported("SET " * 10_000, {"db.statement": "SET ? ?\n" * 10_000})
    assert len(found.name) <= LONGEST_NAME + 1
    assert found.attributes is not None
    assert len(str(found.attributes["db.statement"])) <= LONGEST + 1

"""What is added to the span of a request."""

from __future__ import annotations

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from opa.plugins.tracing.requests import RequestDetails


@pytest.mark.parametrize(
    ("maker", "events"), [("fastapi", ["exception"]), ("opentelemetry.instrumentation.fastapi", [])]
)
def test_an_error_is_recorded_in_a_span_of_fastapi_and_by_the_maker_of_any_other(maker: str, events: list[str]) -> None:
    async def broken(_scope: object, _receive: object, _send: object) -> None:
        raise ArithmeticError

    async def nothing(*_: object) -> None: ...

    tracer = TracerProvider().get_tracer(maker)
    with tracer.start_as_current_span("GET") as span, pytest.raises(ArithmeticError):
        anyio.run(RequestDetails(broken), {"type": "http"}, nothing, nothing)
    assert isinstance(span, ReadableSpan)
    assert [event.name for event in span.events] == events

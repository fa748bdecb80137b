"""Spans for calls that belong to something: a request, a task, or a span of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, Tracer, TracerProvider


class InsideOnly(TracerProvider):
    """Gives tracers whose spans are recorded inside of another span alone.

    What a process does by itself, such as to ask whether redis answers, would be a trace each time.
    """

    def get_tracer(self, *args: Any, **options: Any) -> Tracer:
        """A tracer of the provider of the process."""
        return _InsideOnlyTracer(trace.get_tracer_provider().get_tracer(*args, **options))


class _InsideOnlyTracer(Tracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **options: Any) -> Span:
        return self._tracer.start_span(*args, **options) if _is_inside() else INVALID_SPAN

    @contextmanager
    def start_as_current_span(self, *args: Any, **options: Any) -> Iterator[Span]:  # type: ignore[override]
        if not _is_inside():
            yield INVALID_SPAN
            return
        with self._tracer.start_as_current_span(*args, **options) as span:
            yield span


def _is_inside() -> bool:
    return trace.get_current_span().get_span_context().is_valid

"""Calls of redis-py, and of walrus, which is made of it: by OpenTelemetry's own instrumentation.

It writes a `?` for each argument of a command.
"""

from __future__ import annotations

from opentelemetry.instrumentation.redis import RedisInstrumentor

from opa.plugins.tracing.inside import InsideOnly


def trace_calls() -> None:
    """From now on, each call inside of a span is one."""
    instrumentor = RedisInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=InsideOnly())

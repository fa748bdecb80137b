"""What is done where the variables ask for traces."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from opa import config, log, register, state
from opa.plugins.tracing import mongo_calls, task_spans
from opa.plugins.tracing.export import LazyBatch, new_exporters
from opa.plugins.tracing.log_noise import quieten
from opa.plugins.tracing.requests import RequestDetails
from opa.plugins.tracing.resource import resource_of

FLUSH_LIMIT = 3.0
"""Seconds that the end of a process waits for spans that are not sent yet."""


class SwitchedOn:
    """The traces of this process, and of those that it forks.

    The provider is made before the fork, and its exporter and thread in each process with the first span that ends
    there: see `LazyBatch`.

    Args:
        batches: that send spans; none where someone else has made the provider.
    """

    def __init__(self, batches: list[LazyBatch]) -> None:
        self._batches = batches

    @classmethod
    def from_environment(cls, variable: str) -> SwitchedOn | None:
        """Make the provider that the variables describe, or take the one that is there already.

        Args:
            variable: that asks for traces.

        Returns:
            None where they describe none; the log has a warning then.
        """
        provider: Any = trace.get_tracer_provider()
        batches: list[LazyBatch] = []
        try:
            if isinstance(provider, trace.ProxyTracerProvider):  # the API's own, for as long as there is none
                batches = [LazyBatch(make) for make in new_exporters(os.environ)]
                provider = TracerProvider(resource=resource_of(config, state.get("mode")), shutdown_on_exit=False)
                for batch in batches:
                    provider.add_span_processor(batch)
                trace.set_tracer_provider(provider)
            tracing = cls(batches)
            if not getattr(provider, "is_used_by_opa", False):  # as for an earlier application of this process
                provider.is_used_by_opa = True
                tracing._begin()
        except Exception as error:  # noqa: BLE001  whatever is wrong with variables or packages: the start goes on
            log.warning(f"{variable} asks for traces, and there are none: {type(error).__name__}: {error}")
            return None
        register("middleware", uri="opa.plugins.tracing")(RequestDetails)
        register("log_fields", uri="opa.plugins.tracing")(fields_of_line)
        return tracing

    def _begin(self) -> None:
        quieten()
        task_spans.connect()
        drivers = {component.DRIVER.lower() for component in config.OPTIONAL_COMPONENTS.values()}
        if "pymongo" in sys.modules or any("mongo" in driver for driver in drivers):
            mongo_calls.listen()  # clients hear of it when they are made, which is before `ready`
        atexit.register(self._end)

    def ready(self) -> None:
        """Trace the calls of redis-py, where it is used in this process."""
        if "redis" not in sys.modules:
            return
        try:
            trace_redis_calls()
        except Exception as error:  # noqa: BLE001  another version of it is no reason not to serve
            log.warning(f"calls of redis are not traced: {type(error).__name__}: {error}")

    def shutdown(self) -> None:
        """Send what has not been sent, for `FLUSH_LIMIT` at most."""
        for batch in self._batches:
            batch.flush(FLUSH_LIMIT)

    def _end(self) -> None:
        for batch in self._batches:
            batch.close(FLUSH_LIMIT)


def trace_redis_calls() -> None:
    """Imported here, since it imports redis-py, which not each project uses."""
    from opa.plugins.tracing import redis_calls

    redis_calls.trace_calls()


def fields_of_line() -> Mapping[str, str]:
    """What a line of the log has of the span for which it is written."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

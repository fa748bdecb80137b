"""Commands of pymongo and motor as spans, by the listener that pymongo offers.

OpenTelemetry's own instrumentation is one as well. Its releases come later than those of the rest, and require another
version of the API, so that it cannot be installed beside them; and what it says of an error has values of documents, as
of a duplicate key.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from pymongo import monitoring

from opa.plugins.tracing.inside import InsideOnly


class CommandSpans(monitoring.CommandListener):
    """Makes a span of each command: its name, database, collection and server, and nothing of documents."""

    def __init__(self) -> None:
        self._tracer = InsideOnly().get_tracer("opa.plugins.tracing")
        self._spans: dict[tuple[int, Any], Span] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Begin a span."""
        if not trace.get_current_span().is_recording():
            return
        collection = event.command.get(event.command_name)
        target = collection if isinstance(collection, str) else event.database_name
        attributes: dict[str, Any] = {
            "db.system": "mongodb",
            "db.name": event.database_name,
            "db.operation": event.command_name,
        }
        if isinstance(collection, str):
            attributes["db.mongodb.collection"] = collection
        if event.connection_id is not None:
            host, port = event.connection_id
            attributes["server.address"] = host
            if port is not None:
                attributes["server.port"] = port
        self._spans[event.request_id, event.connection_id] = self._tracer.start_span(
            f"{event.command_name} {target}", kind=SpanKind.CLIENT, attributes=attributes
        )

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """End it."""
        span = self._spans.pop((event.request_id, event.connection_id), None)
        if span is not None:
            span.end()

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """End it, with the name of the error: its message may quote a document."""
        span = self._spans.pop((event.request_id, event.connection_id), None)
        if span is None:
            return
        failure: Any = event.failure
        span.set_attribute("error.type", str(failure.get("codeName") or failure.get("code") or "unknown"))
        span.set_status(StatusCode.ERROR)
        span.end()


def listen() -> None:
    """Hear of the commands of all clients that are made from now on."""
    monitoring.register(CommandSpans())

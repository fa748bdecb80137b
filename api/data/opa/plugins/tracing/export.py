"""Spans on their way out: in a thread, without secrets, and never longer than anyone waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from opa import OpaError, at_fork, log
from opa.plugins.tracing.masked import masked_span

_GROUP = "opentelemetry_traces_exporter"
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def new_exporters(environ: Mapping[str, str]) -> list[Callable[[], SpanExporter]]:
    """What makes the exporters that `OTEL_TRACES_EXPORTER` names; without it, the one for OTLP.

    Raises:
        OpaError: one of them is not installed, or does not exist.
    """
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return [_exporter(name.strip().lower(), environ) for name in named.split(",") if name.strip()]


def _exporter(name: str, environ: Mapping[str, str]) -> Callable[[], SpanExporter]:
    given, entry = f"OTEL_TRACES_EXPORTER={name}", name
    if name == "otlp":
        variables = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        variable = next((each for each in variables if environ.get(each, "").strip()), "")
        protocol = environ[variable].strip().lower() if variable else "http/protobuf"
        given = f"{variable}={protocol}" if variable else given
        if protocol not in _PROTOCOLS:
            raise OpaError(f"{given} is not known", hint=f"Use {' or '.join(_PROTOCOLS)}")
        entry = _PROTOCOLS[protocol]
    found = next(iter(entry_points(group=_GROUP, name=entry)), None)
    if found is None:
        package = "opentelemetry-exporter-" + entry.replace("_", "-")
        raise OpaError(f"{given} has no exporter that is installed", hint=f"Install its package, such as {package}")
    make: Callable[[], SpanExporter] = found.load()
    return make


class MaskingExporter(SpanExporter):
    """Masks what is secret in spans, in the thread that sends them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send copies of spans, as far as they have anything that may not be seen."""
        return self._exporter.export(list(map(masked_span, spans)))

    def shutdown(self) -> None:
        """Send nothing more, and end what is being sent."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether all has been sent."""
        return self._exporter.force_flush(timeout_millis)


class LazyBatch(SpanProcessor):
    """OpenTelemetry's `BatchSpanProcessor`, made in the process that has the first span to send.

    A connection or a thread that was there before a fork would be of no use after it. The batch waits in memory, up to
    `OTEL_BSP_MAX_QUEUE_SIZE` spans, and whoever ends a span never waits.

    Args:
        make: the exporter.
    """

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._make = make
        self._forget()
        at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._batch: BatchSpanProcessor | None = None
        self._exporter: SpanExporter | None = None
        self._is_closed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span that is to be sent."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        batch = self._batch or self._begin()
        if batch is not None:
            batch.on_end(span)

    def _begin(self) -> BatchSpanProcessor | None:
        with self._lock:
            if self._batch is None and not self._is_closed:
                try:
                    self._exporter = MaskingExporter(self._make())
                    self._batch = BatchSpanProcessor(self._exporter)
                except Exception as error:  # noqa: BLE001  it is a request that has ended its span
                    self._is_closed = True
                    log.warning(f"no spans are exported: {type(error).__name__}: {error}")
            return self._batch

    def flush(self, limit: float) -> bool:
        """Send what is there. Whether that was done after `limit` seconds."""
        batch = self._batch
        return batch is None or self._is_closed or _ends_within(limit, batch.force_flush)

    def close(self, limit: float) -> None:
        """Send what is there, for `limit` seconds at most, and then nothing more."""
        batch, exporter = self._batch, self._exporter
        if batch is None or exporter is None or self._is_closed:
            return
        self._is_closed = True
        if not _ends_within(limit, batch.shutdown):
            log.debug("some spans have not been exported: the collector did not take them in time")

    def shutdown(self) -> None:
        """As a program may ask of the provider."""
        self.close(_LIMIT_OF_OTHERS)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """The same."""
        return self.flush(timeout_millis / 1000)


_LIMIT_OF_OTHERS = 3.0


def _ends_within(seconds: float, function: Callable[[], object]) -> bool:
    """Whether `function` ends in that time. It runs in a thread that keeps no process from ending."""
    thread = threading.Thread(target=function, name="spans-flush", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()

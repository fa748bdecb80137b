"""The variables of OpenTelemetry that have secrets: a header for a collector is often an API key."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from opa._util.masking.hidden import hide

HEADER_VARIABLES = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
)


def hide_telemetry_headers(environ: Mapping[str, str]) -> None:
    """Mask the values of these headers from now on, in all that is logged or shown."""
    for variable in HEADER_VARIABLES:
        for header in environ.get(variable, "").split(","):
            _, sign, value = header.partition("=")
            if sign:
                hide(value)
                hide(unquote(value))
            elif header.strip():  # malformed: what it is, nobody knows
                hide(header)

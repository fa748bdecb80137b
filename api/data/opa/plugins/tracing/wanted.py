"""Whether the environment asks for traces. Imports nothing, since it is asked in each start."""

from __future__ import annotations

from collections.abc import Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def asking_variable(environ: Mapping[str, str]) -> str | None:
    """The variable that asks for traces: one that says where they go. None where there is none, or one forbids them.

    An empty variable is none, as OpenTelemetry has it.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return None if exporter == "none" else "OTEL_TRACES_EXPORTER"
    return next((name for name in ENDPOINTS if environ.get(name, "").strip()), None)

"""What FastAPI reports to OpenTelemetry. Only for tested versions."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.telemetry._asgi import ExceptionTelemetryMiddleware

__all__ = ["ExceptionTelemetryMiddleware", "sees_telemetry"]


def sees_telemetry(app: FastAPI) -> Callable[[], bool]:
    """A function that finds out whether requests of an application are to be reported."""
    return app._native_telemetry.enabled

"""Whether FastAPI, or an agent that has patched it, has requests to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.types import Scope

from opa._compat.fastapi import tested
from opa._compat.starlette import has_patched_calls
from opa.http.health_paths import operating_paths

if TYPE_CHECKING:
    from opa.settings.load import Config

CHECK_INTERVAL = 1.0
"""Seconds."""


class TelemetryWatch:
    """Knows whether OpenTelemetry is set up in this process, and looks again after `CHECK_INTERVAL` at the earliest.

    FastAPI 0.163 looks in each request, in the environment among other places: an eighth of the time of a small one.

    Args:
        look: whether it is.

    Attributes:
        is_set_up: whether FastAPI is to be called for requests of the application.
        next_look: of the monotonic clock; whoever asks then is to have it look first.
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self.is_set_up = False
        self.next_look = 0.0

    def look(self, now: float) -> None:
        """Look again."""
        self.is_set_up, self.next_look = self._look(), now + CHECK_INTERVAL


def telemetry_watch(app: FastAPI) -> TelemetryWatch:
    """What knows it of the requests of an application; that of each is left to FastAPI, where it may look otherwise."""
    if tested.problem():
        return TelemetryWatch(lambda: True)
    from opa._compat.fastapi.telemetry import sees_telemetry

    sees = sees_telemetry(app)
    return TelemetryWatch(lambda: sees() or has_patched_calls())


def watched_paths(config: Config) -> Callable[[Scope], bool]:
    """Tells of a request whether it is for an operating route: who watches the process asks them all the time.

    Args:
        config: reads `OPENAPI_PREFIX`, and what `operating_paths` reads.
    """
    paths = frozenset(prefix + path for path in operating_paths(config) for prefix in ("", config.OPENAPI_PREFIX))
    return lambda scope: scope["path"] in paths


def exception_telemetry() -> Any:
    """FastAPI's middleware that reports uncaught exceptions; None where it stays in its place."""
    if tested.problem():
        return None
    from opa._compat.fastapi.telemetry import ExceptionTelemetryMiddleware

    return ExceptionTelemetryMiddleware

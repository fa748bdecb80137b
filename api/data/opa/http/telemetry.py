"""Whether FastAPI has requests to report to OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.types import Scope

from opa._compat.fastapi import tested
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
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._is_set_up = False
        self._next_look = 0.0

    def is_set_up(self) -> bool:
        """Whether FastAPI reports requests of the application."""
        now = time.monotonic()
        if now >= self._next_look:
            self._is_set_up, self._next_look = self._look(), now + CHECK_INTERVAL
        return self._is_set_up


class FastApiLooks:
    """Leaves that to FastAPI, where it may look in another way."""

    def is_set_up(self) -> bool:
        """Whether each request is to go the way of FastAPI."""
        return True


def telemetry_watch(app: FastAPI) -> TelemetryWatch | FastApiLooks:
    """What knows it of the requests of an application."""
    if tested.problem():
        return FastApiLooks()
    from opa._compat.fastapi.telemetry import sees_telemetry

    return TelemetryWatch(sees_telemetry(app))


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

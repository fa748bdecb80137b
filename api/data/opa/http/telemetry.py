"""Whether FastAPI has requests to report to OpenTelemetry."""

from __future__ import annotations

import time

from fastapi import FastAPI

LOOK_AGAIN = 1.0
"""Seconds."""


class TelemetryWatch:
    """Knows whether OpenTelemetry is set up in this process, and looks for it again after `LOOK_AGAIN` at the earliest.

    FastAPI 0.163 looks in each request, in the environment among other places: an eighth of the time of a small one.
    """

    def __init__(self, app: FastAPI) -> None:
        self._look = app._native_telemetry.enabled  # it has no public name
        self._is_set_up = False
        self._next_look = 0.0

    def is_set_up(self) -> bool:
        """Whether FastAPI reports requests of the application."""
        now = time.monotonic()
        if now >= self._next_look:
            self._is_set_up, self._next_look = self._look(), now + LOOK_AGAIN
        return self._is_set_up

"""Celery's beat."""

from __future__ import annotations

from typing import Any

from celery import beat


class Scheduler(beat.Scheduler):
    """What sends what is due."""

    def never_due(self, entry: Any) -> tuple[bool, float]:
        """Log that the next run of an entry cannot be calculated; what `is_due` of the entry would give."""
        is_due, pause = self._is_due_failed(entry)  # type: ignore[attr-defined]  # celery-types lacks it
        return bool(is_due), float(pause)

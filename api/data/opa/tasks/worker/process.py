"""What this process is to Celery."""

from __future__ import annotations

from opa.core.state import state


def is_worker() -> bool:
    """Whether this process is one of Celery's, which reach for the broker by themselves for as long as it takes."""
    return state.get("runner") == "celery"


def is_beat() -> bool:
    """Whether it runs the schedule."""
    return state.get("runner") == "beat"

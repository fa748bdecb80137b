"""What a process is to Celery, by its mode."""

from __future__ import annotations


def is_worker(mode: str) -> bool:
    """Whether it is one of Celery's, which reach for the broker by themselves for as long as it takes."""
    return mode in ("worker", "flower")


def is_beat(mode: str) -> bool:
    """Whether it runs the schedule."""
    return mode == "beat"

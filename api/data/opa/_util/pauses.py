"""How long to wait before each of several tries."""

from __future__ import annotations

from collections.abc import Iterator


def growing(first: float, longest: float) -> Iterator[float]:
    """Seconds, twice as many each time, up to `longest`."""
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)

"""What somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CLOSE = 0.75
"""How much of two names has to be equal, as `difflib` counts it."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is `name`, or looks most like it; none where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=CLOSE)
    return near[0] if near else None

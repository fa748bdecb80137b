"""What someone may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SIMILARITY = 0.75
"""How much of two names has to be equal, as `difflib` counts it."""
LOOSE_SIMILARITY = 0.6
"""The same where there are few names that are known, and something is wrong in any case."""


def typing_mistakes(name: str, meant: str) -> int:
    """How many letters were left out, added, replaced or swapped with the next one to get `name` from `meant`."""
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for row, letter in enumerate(name, 1):
        now = [row]
        for column, other in enumerate(meant, 1):
            now.append(min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != other)))
            if row > 1 and column > 1 and letter == meant[column - 2] and name[row - 2] == other:
                now[-1] = min(now[-1], before[column - 2] + 1)
        before, last = last, now
    return last[-1]


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` is a slip of; short names are near to many, and must have all the letters."""
    return next(
        (
            one
            for one in known
            if abs(len(one) - len(name)) <= 1
            and (len(name) > 4 or (len(name) == 4 and sorted(name) == sorted(one)))
            and typing_mistakes(name, one) == 1
        ),
        None,
    )


def nearest(name: str, known: Iterable[str], similarity: float = SIMILARITY) -> str | None:
    """The one of `known` that is `name`, or looks most like it; none where nothing is near.

    Args:
        name: what was written.
        known: what may be meant.
        similarity: how much of both has to be equal, from 0 to 1.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=similarity)
    return near[0] if near else None

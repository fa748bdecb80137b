"""Something that needs attention."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attention:
    """Something that needs attention.

    Attributes:
        what: in a few words.
        why: in a sentence; empty where nothing more is known.
        path: of the page that has more, below that of the console; empty without one.
        is_mild: whether a user has wanted it, or it passes by itself.
    """

    what: str
    why: str
    path: str
    is_mild: bool = False

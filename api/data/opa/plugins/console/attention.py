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
    """

    what: str
    why: str
    path: str

"""Patterns of names of events, as `on` and the settings have them."""

from __future__ import annotations

import re

LONGEST = 200
"""Characters of a name, and of a pattern."""

_PATTERN = r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*"


def is_pattern(value: object) -> bool:
    """Whether it may stand in `on`: a name, in which `*` stands for any text."""
    return isinstance(value, str) and len(value) <= LONGEST and re.fullmatch(_PATTERN, value) is not None

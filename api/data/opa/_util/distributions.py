"""The names of distributions."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[-_.]+")


def canonical_name(name: str) -> str:
    """`name` as all its spellings have it: `My_Auth` is `my-auth`. That of `packaging` is slow to import."""
    return _SEPARATORS.sub("-", name).lower()

"""The names of distributions, and the conditions under which they are needed."""

from __future__ import annotations

import re
from typing import Any

_SEPARATORS = re.compile(r"[-_.]+")


class ConditionError(ValueError):
    """The condition of a requirement has no answer, such as the comparison of a version with a text."""


def canonical_name(name: str) -> str:
    """`name` as all its spellings have it: `My_Auth` is `my-auth`. That of `packaging` is slow to import."""
    return _SEPARATORS.sub("-", name).lower()


def applies_here(requirement: Any, extra: str = "") -> bool:
    """Whether a requirement of `packaging` is one of this Python, on this platform.

    Args:
        requirement: name, versions, and a condition, if it has one.
        extra: the one that is asked for.

    Raises:
        ConditionError: that cannot be said.
    """
    if requirement.marker is None:
        return True
    try:
        return bool(requirement.marker.evaluate({"extra": extra}))
    except Exception as error:  # what packaging raises has no common base, and is not the same in all its versions
        raise ConditionError(f"whose condition has no answer ({type(error).__name__})") from error

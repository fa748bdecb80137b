"""The names of distributions, the conditions under which they are needed, and whether one has entry points."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from typing import Any

from opa._util.patterns import lazy_pattern

_SEPARATORS = lazy_pattern(r"[-_.]+")


class ConditionError(ValueError):
    """The condition of a requirement has no answer, such as the comparison of a version with a text."""


def canonical_name(name: str) -> str:
    """`name` as all its spellings have it: `My_Auth` is `my-auth`. That of `packaging` is slow to import."""
    return _SEPARATORS.sub("-", name).lower()


def may_have_entry_points(group: str) -> bool:
    """Whether an installed package may have entry points of this group. If not, there are none.

    `importlib.metadata.entry_points` parses those of all packages, which takes three times as long.
    """
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return True
    return any(_may_have_in(str(entry) or ".", group.encode()) for entry in sys.path)


def _may_have_in(folder: str, group: bytes) -> bool:
    if folder.lower().endswith(".egg"):
        return True
    try:
        names = os.listdir(folder)  # noqa: PTH208 - an entry may be no path
    except NotADirectoryError:  # an archive
        return True
    except OSError:
        return False
    for name in names:
        if name.lower().endswith((".dist-info", ".egg-info")):
            try:
                with open(f"{folder}/{name}/entry_points.txt", "rb") as file:  # noqa: PTH123 - there are hundreds
                    if group in file.read():
                        return True
            except OSError:
                continue
    return False


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

"""Limits for values that come from outside: how deep they go, and how many they are. None of it recurses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 50
"""Levels of mappings and lists in each other."""
MAX_VALUES = 100_000
"""Values in one file; what stands there once by an alias and is used often counts each time."""

TOO_DEEP = f"there are more than {MAX_DEPTH} levels of mappings and lists in each other"
TOO_MANY = f"there are more than {MAX_VALUES} values, each alias counted as what it stands for"


class NestingError(ValueError):
    """The value is deeper, or has more in it, than the limits allow; or it is in itself."""


_CONTAINERS = (dict, list, tuple)


def deeper_than(limit: int, value: Any) -> bool:
    """Whether lists and dicts in `value` are nested in more than `limit` levels."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            item
            for found in level
            for item in (found.values() if isinstance(found, dict) else found)
            if isinstance(item, _CONTAINERS)
        ]
    return bool(level)


def check_nesting(value: Any) -> None:
    """Hold what stands in a file to the limits.

    Raises:
        NestingError: it does not keep the limits.
    """
    level, count = [value], 1
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for outer in level:
            if isinstance(outer, Mapping):
                inner += outer.values()
            elif isinstance(outer, list | tuple | set | frozenset):
                inner += outer
            if count + len(inner) > MAX_VALUES:
                raise NestingError(TOO_MANY)
        count += len(inner)
        if not inner:
            return
        level = inner
    raise NestingError(TOO_DEEP)

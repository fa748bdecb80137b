"""What is private in dynaconf, and used here: the marks on values that are to be merged."""

from __future__ import annotations

from typing import Any


def is_inserted(value: Any) -> bool:
    """Whether it is an item that is to be put into a list, as by `@insert`."""
    return bool(getattr(value, "_dynaconf_insert", False))


def is_deleted(value: Any) -> bool:
    """Whether it stands for a key that is to be taken out, as by `@del`."""
    return bool(getattr(value, "_dynaconf_del", False))

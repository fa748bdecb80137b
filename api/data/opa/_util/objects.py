"""Look at objects of other code, any of which may raise, or answer for another one, as a proxy does."""

from __future__ import annotations

from typing import Any


def is_a(value: object, kind: type | tuple[type, ...]) -> bool:
    """Whether `value` is of one of these classes, by its type alone.

    `isinstance` also asks the object, by its `__class__`.
    """
    try:
        return issubclass(type(value), kind)
    except Exception:  # noqa: BLE001 - an abstract base class asks the type, whose metaclass may raise
        return False


def attribute(value: object, name: str, default: Any = None) -> Any:
    """An attribute of `value`; the default where it has none, or raises anything when it is asked."""
    try:
        return getattr(value, name, default)
    except Exception:  # noqa: BLE001 - it may be a proxy that stands for nothing at the moment
        return default

"""What the tests of `opa/_compat/` ask of a private name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any


def parameters(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters of a function or a method, without `self`."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


def source_names(cls: type, name: str) -> bool:
    """Whether the source of a class, or of one that it is made from, has a name: an attribute that `__init__` gives."""
    return any(f"self.{name}" in inspect.getsource(base) for base in cls.__mro__ if base is not object)


def own_classes(module: Any) -> Iterator[type]:
    """The classes that a module defines."""
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield value

"""Where classes, functions and files stand, for messages."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opa._util.objects import attribute

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
"""That of opa-stack itself."""


def where_is(cls: type) -> str:
    """`file:line` of a class, or its module where there is no source."""
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__module__


def describe(cls: type) -> str:
    """`class (file:line)`."""
    return f"{cls.__name__} ({where_is(cls)})"


def where_is_function(function: Callable[..., Any]) -> str:
    """`file:line` of a function, or its module where there is no source."""
    try:
        code = getattr(inspect.unwrap(function), "__code__", None)
    except Exception:  # noqa: BLE001 - an object that can be called, and raises when it is asked for anything else
        code = None
    if code is None:
        return str(attribute(function, "__module__", type(function).__module__))
    return f"{code.co_filename}:{code.co_firstlineno}"


def from_here(path: str) -> str:
    """A path from the current folder on, where it is in that."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path

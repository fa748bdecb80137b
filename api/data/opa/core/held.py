"""Whether something besides its module holds a function, such as what a decorator has registered it with."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from types import AsyncGeneratorType, CellType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

_PLAIN: dict[str, Callable[[], None]] = {"": lambda: None}
"""A function that nothing else holds, to compare others with."""
_NO_REGISTRIES = (
    tuple,
    FunctionType,
    MethodType,
    CellType,
    FrameType,
    GeneratorType,
    CoroutineType,
    AsyncGeneratorType,
)
"""What holds a function because it runs or wraps it, or has it for a default."""


class Kept(dict[Any, Callable[..., Any]]):
    """What opa-stack itself keeps functions in; it says nothing about them."""


def is_held(namespace: Mapping[str, Any], name: str) -> bool:
    """Whether a list, a dict or an object holds the function `name` of a module, besides the module and its caller.

    A tool, a handler or a command of a library is called by what holds it, and has its name from that. Usually a
    comparison of two numbers tells that there is nothing; else all objects are looked through, which takes some
    hundredths of a second.

    Args:
        namespace: that of the module. The caller has the function in one variable.
        name: of the function.
    """
    if type(namespace[name]) is not FunctionType:
        return False
    if sys.getrefcount(namespace[name]) <= sys.getrefcount(_PLAIN[""]) + 1:
        return False
    function = namespace[name]
    modules = {id(getattr(module, "__dict__", None)) for module in list(sys.modules.values())}
    return any(
        id(holder) not in modules and not isinstance(holder, (Kept, *_NO_REGISTRIES)) and not _wraps(holder, function)
        for holder in gc.get_referrers(function)
    )


def _wraps(holder: object, function: object) -> bool:
    """Whether it is the dict of what `functools.wraps` has made of it."""
    return isinstance(holder, dict) and holder.get("__wrapped__") is function


def wrapped_by(function: object, name: str) -> Iterator[object]:
    """The functions of this name that a decorator has wrapped without saying so, the outermost first."""
    seen = {id(function)}
    while isinstance(function, FunctionType):
        values = [_content(cell) for cell in function.__closure__ or ()]
        function = next(
            (each for each in values if getattr(each, "__name__", "") == name and id(each) not in seen), None
        )
        if function is not None:
            seen.add(id(function))
            yield function


def _content(cell: CellType) -> object:
    try:
        value: object = cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None
    return value if isinstance(value, FunctionType) else None

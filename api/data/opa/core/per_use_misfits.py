"""Whether a function can use what a component gives for one use: an `async def` can await it, and a `def` cannot."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from opa._util.sources import where_is_function
from opa.core.drivers import ASYNC, PerUse
from opa.errors import ComponentUseError


def is_async(function: Callable[..., Any]) -> bool:
    """Whether what a function does is awaited, also where a decorator stands before it."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether a call of it runs nothing yet."""
    function = inspect.unwrap(function)
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def misfit(name: str, per_use: PerUse | None, function: Callable[..., Any], what: str) -> ComponentUseError | None:
    """The error for a function that cannot use what a component gives; None where it can.

    Args:
        name: of the component.
        per_use: how its driver gives something for each use.
        function: of a plugin.
        what: the function, for the message.
    """
    if per_use is None or (per_use == ASYNC) == is_async(function):
        return None
    kind, way = ("asynchronous", "def") if per_use == ASYNC else ("synchronous", "async def")
    why = "which cannot await it" if per_use == ASYNC else "where it would hold the event loop"
    return ComponentUseError(
        f"{what} is '{way}' and asks for the component '{name}', whose driver is {kind}: what it gives cannot be used"
        f" in '{way}', {why}",
        where=where_is_function(function),
        hint=f"Make it '{'async def' if per_use == ASYNC else 'def'}', or name a component with "
        f"{'a synchronous' if per_use == ASYNC else 'an asynchronous'} driver",
    )

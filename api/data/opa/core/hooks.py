"""Hooks: a named point that one plugin defines and another fills."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar


class BasePlugin:
    """The common base of everything that a plugin defines by subclassing."""


class HookDefinition(BasePlugin):
    """Defines a hook. Subclass it in a plugin; the class is registered, never instantiated.

    Attributes:
        name: what callers use; the class name by default.
        required: the application does not start unless some plugin fills the hook.
        is_async: `run` of every hook for it must be `async def`, and callers use `call_hook_async`.
        run: what callers give, where it is written: a hook that does not take that is refused. It is never called.
    """

    name: ClassVar[str]
    required: ClassVar[bool] = False
    is_async: ClassVar[bool] = False


class Hook(BasePlugin):
    """Fills a hook. Subclass it and define `run`; the hook with the highest `order` is the one that is called.

    Attributes:
        name: the hook that it fills; the class name by default.
        order: hooks of equal order are settled by load order, the one loaded last wins.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 0

    run: Callable[..., Any]


def hook_name(cls: type[HookDefinition] | type[Hook]) -> str:
    """The name of a hook or hook definition: its `name`, or else the name of the class."""
    return getattr(cls, "name", None) or cls.__name__


def is_async_function(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await."""
    return inspect.iscoroutinefunction(function)


def is_async_hook(run: Callable[..., Any]) -> bool:
    """Whether a hook is to be awaited: it is asynchronous, or a decorator stands before what is."""
    return is_async_function(inspect.unwrap(run))

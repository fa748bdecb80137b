"""Attributes that a method is asked for when they are not there, and that are read as fast as Python can otherwise."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):

    class LateAttributes:
        """An object whose method `_late` is asked for an attribute that it does not have."""

        __slots__ = ("__dict__", "__weakref__")

        def __getattr__(self, name: str) -> Any:
            return self._late(name)

        def _late(self, name: str) -> Any:
            raise NotImplementedError

else:

    class LateAttributes(ModuleType):
        """An object whose method `_late` is asked for an attribute that it does not have.

        Where a class has a `__getattr__`, Python 3.11 looks for it and for another method before each read. A module
        has one among its attributes, and Python looks for it when it has missed another: that costs a fifth less.
        """

        __slots__ = ()
        __dir__ = object.__dir__
        __repr__ = object.__repr__

        def __init__(self) -> None:
            # Not as a module does, which would add names of its own.
            self.__dict__["__getattr__"] = self._late


def own_attributes(thing: LateAttributes) -> dict[str, Any]:
    """A copy of what is in its `__dict__`, without what Python 3.11 needs there."""
    return {name: value for name, value in thing.__dict__.items() if name != "__getattr__"}

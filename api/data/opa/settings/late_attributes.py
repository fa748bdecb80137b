"""Attributes that a method is asked for when they are not there, and that are read as fast as Python can otherwise."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):

    class LateAttributes(ABC):
        """An object whose method `_late` is asked for an attribute that it does not have."""

        __slots__ = ("__dict__", "__weakref__")

        def __getattr__(self, name: str) -> Any:
            return self._late(name)

        @abstractmethod
        def _late(self, name: str) -> Any:
            """The attribute `name`, or an AttributeError."""

        def _own(self) -> dict[str, Any]:
            """The attributes that it has."""
            return self.__dict__

else:

    class LateAttributes(ModuleType, ABC):
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

        @abstractmethod
        def _late(self, name: str) -> Any:
            """The attribute `name`, or an AttributeError."""

        def _own(self) -> dict[str, Any]:
            """The attributes that it has, without what this class needs there."""
            return {name: value for name, value in self.__dict__.items() if name != "__getattr__"}

"""Types of settings that have models of their own, which most projects do not set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class Later:
    """In `Annotated`: another type, whose module is imported where a value is validated.

    What stands before it says whether that is a text, a list or a mapping, and nothing more. Importing the modules of
    all such settings, and making their models, takes a hundredth of a start with one plugin.

    Args:
        find: imports the type, and returns it.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of that type."""
        return handler.generate_schema(self._find())

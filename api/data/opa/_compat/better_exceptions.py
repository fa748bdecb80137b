"""What is private in better-exceptions, and used here."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from better_exceptions import formatter

_Formatter: Any = formatter.ExceptionFormatter


class ExceptionFormatter(_Formatter):  # type: ignore[misc]
    """Writes an exception, with its causes and with the values of variables."""

    def _format_exception(
        self, value: BaseException, tb: TracebackType | None, seen: set[int] | None = None
    ) -> Iterator[str]:
        return self.parts_of(value, tb, seen)

    def parts_of(self, value: BaseException, tb: TracebackType | None, seen: set[int] | None = None) -> Iterator[str]:
        """Called for an exception, and for each of its causes; `seen` has the ids of those that are written already."""
        parts: Iterator[str] = super()._format_exception(value, tb, seen)
        return parts

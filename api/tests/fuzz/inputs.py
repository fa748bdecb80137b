"""What parsers are given: texts and values, put together of what a parser looks for and of what nobody expects.

Hypothesis chooses bytes alone, for many inputs at once, and `Choices` makes them of these: that takes a twentieth of
the time of a strategy for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

INPUTS_OF_EXAMPLE = 25
BYTES_OF_INPUT = 32

UNEXPECTED = (
    *("", " ", "\n", "\t", "\0", "\x1b", "\x7f", "\x85", "\xa0", "\ufeff", "\u2028", "\u202e", "\ud800", "\udcff"),
    *("é", "İ", "ß", "ﬀ", "٣", "字", "\U0001f388", "a", "A", "x", "_", "-", ".", ",", ";", ":", "/", "//", "\\", "|"),
    *("@", "&", "?", "#", "%", "%00", "%2f", "%25", "=", "+", "*", "!", "~", "^", "$", "'", '"', "`", "<", ">"),
    *("(", ")", "[", "]", "{", "}", "{{", "..", "0", "1", "-1", "9" * 20, "1e999", "0x1", "007", "true", "null"),
    *("nan", "a" * 70, "é" * 30, "\r\n"),
)
"""Parts of texts that no parser of ours has asked for."""


class Choices:
    """Chooses by bytes that the caller has chosen; where there are no more, always the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def below(self, count: int) -> int:
        """A number from 0 on."""
        if self._place >= len(self._data):
            return 0
        self._place += 1
        return self._data[self._place - 1] % count

    def one_of(self, options: Sequence[T]) -> T:
        """One of at most 256."""
        return options[self.below(len(options))]

    def is_rare(self) -> bool:
        """True once in eight times."""
        return self.below(8) == 7

    def text(self, parts: Sequence[str], most: int = 10) -> str:
        """A text of some parts, and now and then of something unexpected."""
        return "".join(self.one_of(UNEXPECTED if self.is_rare() else parts) for _ in range(self.below(most + 1)))

    def header(self, parts: Sequence[str], most: int = 10) -> str:
        """A text as a header of a request can have it."""
        return self.text(parts, most).encode("utf-8", "surrogatepass").decode("latin-1")

    def value(self, parts: Sequence[str], depth: int = 3) -> Any:
        """What JSON has, and a little more."""
        kind = self.below(10 if depth else 8)
        if kind >= 8:
            items = range(self.below(4))
            if kind == 8:
                return [self.value(parts, depth - 1) for _ in items]
            return {self.text(parts, 3): self.value(parts, depth - 1) for _ in items}
        if kind <= 3:
            return self.text(parts, 4)
        return self.one_of(_PLAIN)

    def mapping(self, keys: Sequence[str], parts: Sequence[str], depth: int = 2) -> dict[str, Any]:
        """One with some of the keys."""
        return {self.one_of(keys): self.value(parts, depth) for _ in range(self.below(5))}


_PLAIN: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 7, 3600, 2**31, 2**63, 10**30, 0.0, -0.0, 0.5, 1e308),
    *(float("inf"), float("-inf"), float("nan"), [], {}, "", "x"),
)


def inputs(make: Callable[[Choices], T]) -> st.SearchStrategy[list[T]]:
    """Many inputs at once, each of which `make` makes of some choices."""

    def split(data: bytes) -> list[T]:
        return [make(Choices(data[start : start + BYTES_OF_INPUT])) for start in range(0, len(data), BYTES_OF_INPUT)]

    size = INPUTS_OF_EXAMPLE * BYTES_OF_INPUT
    return st.binary(min_size=size, max_size=size).map(split)

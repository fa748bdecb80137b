"""One quick look at a text, which ends the search for secrets in nearly all of them.

By the regular expressions of pydantic-core, which are Rust's: they take time in proportion to the length of the text,
whatever the expression, and for a line of a log a tenth of what Python's or a look for each word would take.
"""

from __future__ import annotations

from collections.abc import Callable


class Matcher:
    """Tells whether a regular expression matches somewhere in a text.

    Args:
        pattern: in the syntax of https://docs.rs/regex: no looking around, no references.

    Attributes:
        matches: the engine's own function, which each line of the log calls; a text that is not whole, since it has
            half of a character, matches nothing for it.
    """

    __slots__ = ("_pattern", "matches")

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.matches: Callable[[str], bool] = self._first

    def __call__(self, text: str) -> bool:
        """Whether it matches in `text`, or may do so where that is not whole."""
        return self.matches(text if text.isascii() else whole(text))

    def _first(self, text: str) -> bool:
        from pydantic_core import SchemaValidator, core_schema  # a command that writes no text starts without it

        schema = core_schema.str_schema(pattern=self._pattern, regex_engine="rust-regex")
        self.matches = SchemaValidator(schema).isinstance_python
        return self.matches(text)


def whole(text: str) -> str:
    """`text` with a question mark for half of a character."""
    return text.encode("utf-8", "replace").decode()

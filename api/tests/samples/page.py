"""Which samples of another system's documentation have a test here, or a counterpart in ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])

COUNTERPARTS = Path(__file__).parents[3] / "docs" / "coming-from.md"


class Page:
    """A page of the other system.

    Args:
        headings: those that have samples under them, in their order.
    """

    def __init__(self, *headings: str) -> None:
        self._shown: dict[str, list[str]] = {heading: [] for heading in headings}
        self._missing_rows: dict[str, list[str]] = {heading: [] for heading in headings}

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(self._shown)

    def sample(self, heading: str) -> Callable[[Test], Test]:
        """The test runs a plugin of the shape that stands under `heading`."""

        def add(test: Test) -> Test:
            self._shown[heading].append(test.__name__)
            return test

        return add

    def counterpart(self, heading: str, *rows: str) -> None:
        """What stands under `heading` is no plugin; rows of our page that begin like this say what to write instead."""
        lines = COUNTERPARTS.read_text().splitlines()
        self._missing_rows[heading] += [row for row in rows if not any(line.startswith(f"| {row}") for line in lines)]
        self._shown[heading] += rows

    def check(self, heading: str) -> None:
        """There is a test or a counterpart, and our page has all counterparts."""
        assert self._shown[heading], f"nothing shows the sample under {heading!r}"
        assert self._missing_rows[heading] == [], "docs/coming-from.md has no row that begins so"

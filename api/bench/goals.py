"""What is to be reached, and what was: the rows of the report."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Bound(enum.Enum):
    """On which side of a goal a figure has to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Figure:
    """One number that has a goal.

    Attributes:
        name: what it is, where a row has several.
        value: what was measured; the median of rounds.
        bound: the side of the goal.
        goal: what is to be reached.
        unit: of both, `×` for ratios.
    """

    name: str
    value: float
    bound: Bound
    goal: float
    unit: str = "×"

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.bound is Bound.AT_LEAST else self.value <= self.goal

    @property
    def used(self) -> float:
        """How much of what the goal allows is used; 1 is all of it, and more is too much."""
        return self.goal / self.value if self.bound is Bound.AT_LEAST else self.value / self.goal

    @property
    def goal_text(self) -> str:
        """Such as `≤ 1.5 ×`."""
        return f"{self.bound.value} {self.goal:g} {self.unit}"

    @property
    def value_text(self) -> str:
        """Such as `1.21 ×`."""
        digits = 2 if self.value < 10 else 1 if self.value < 100 else 0
        return f"{self.value:.{digits}f} {self.unit}"


@dataclass(frozen=True)
class Row:
    """A row of the report.

    Attributes:
        work: what is done.
        against: what it is measured beside.
        figures: what came out.
    """

    work: str
    against: str
    figures: tuple[Figure, ...]

    @property
    def is_reached(self) -> bool:
        """Whether all of its goals are reached."""
        return all(figure.is_reached for figure in self.figures)

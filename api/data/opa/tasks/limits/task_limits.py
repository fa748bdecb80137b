"""The limits of a task, as its decorator or the settings say them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opa._util.rates import Rate, rates_in
from opa._util.words import kind_of
from opa.tasks.limits.templates import Template

OPTIONS = ("unique", "unique_for", "concurrency", "rate")
"""Of a task."""
MAX_STARTS = 10_000
"""That a rate may count: the time of each is kept."""
MAX_CONCURRENCY = 100_000
UNIQUE_FOR = 86_400.0
"""Seconds for which a task that no worker has had in its hands is believed to wait."""
LONGEST_UNIQUE_FOR = 366 * 86_400.0


class TaskLimit:
    """A limit for each value of an argument by itself: `@task(concurrency=TaskLimit(3, by="{customer}"))`.

    Args:
        limit: how many may run at once, or, for `rate`, how many may start within a time: `"10/m"`.
        by: a template whose fields are parameters of the task; None for all of its runs together.
    """

    def __init__(self, limit: int | str, *, by: str | None = None) -> None:
        self.limit = limit
        self.by = by

    def __repr__(self) -> str:
        return f"TaskLimit({self.limit!r}, by={self.by!r})"


@dataclass(frozen=True)
class Gate:
    """What lets a number of runs through at once.

    Attributes:
        name: as a part of keys.
        limit: how many.
    """

    name: str
    limit: int


@dataclass(frozen=True)
class Pace:
    """What lets a number of runs start within a time.

    Attributes:
        name: as a part of keys.
        rate: how many, in how many seconds.
    """

    name: str
    rate: Rate


@dataclass(frozen=True)
class TaskLimits:
    """The limits of a task, checked.

    Attributes:
        task: its name.
        signature: what it is called with.
        unique: None where any number may wait.
        unique_for: seconds.
        concurrency: how many at once, and of what.
        rate: how many within a time, and of what.
    """

    task: str
    signature: inspect.Signature | None
    unique: Template | None
    unique_for: float
    concurrency: tuple[int, Template | None] | None
    rate: tuple[Rate, Template | None] | None

    def __bool__(self) -> bool:
        return bool(self.unique or self.concurrency or self.rate)

    def __str__(self) -> str:
        parts = []
        if self.unique:
            parts.append(f"unique {self.unique.text}")
        if self.concurrency:
            parts.append(f"{self.concurrency[0]} at once{_told(self.concurrency[1])}")
        if self.rate:
            parts.append(f"{self.rate[0]}{_told(self.rate[1])}")
        return ", ".join(parts)

    def arguments(self, args: Any, kwargs: Any) -> Mapping[str, Any]:
        """The arguments by the names of the parameters, with the defaults of those that were left out.

        Raises:
            TypeError: the task cannot be called with them.
        """
        if self.signature is None:
            return dict(kwargs or {})
        bound = self.signature.bind(*(args or ()), **(kwargs or {}))
        bound.apply_defaults()
        return bound.arguments

    def lock(self, arguments: Mapping[str, Any]) -> str:
        """By what a unique task is known; empty where this one need not be unique."""
        return f"{self.task}:{self.unique.render(arguments)}" if self.unique else ""

    def gates(self, arguments: Mapping[str, Any]) -> list[Gate]:
        """What lets a run with these arguments through."""
        gates = [Gate(f"unique:{lock}", 1)] if (lock := self.lock(arguments)) else []
        if self.concurrency:
            limit, by = self.concurrency
            gates.append(Gate(f"concurrency:{self.task}:{by.render(arguments) if by else ''}", limit))
        return gates

    def pace(self, arguments: Mapping[str, Any]) -> Pace | None:
        """What lets a run with these arguments start."""
        if self.rate is None:
            return None
        rate, by = self.rate
        return Pace(f"rate:{self.task}:{by.render(arguments) if by else ''}", rate)


def limits_of(task: str, signature: inspect.Signature | None, options: Mapping[str, Any]) -> TaskLimits:
    """Check the limits that options of a task say.

    Args:
        signature: what it is called with; None where that cannot be told.
        options: of its decorator, or of the settings.

    Raises:
        ValueError: one of them is of no use; the message begins with its name.
    """
    parameters = None if signature is None else _named(signature)
    unique, unique_for = options.get("unique"), options.get("unique_for")
    return TaskLimits(
        task,
        signature,
        None if unique is None else _parsed("unique", Template.parse, unique, parameters),
        UNIQUE_FOR if unique_for is None else _parsed("unique_for", _seconds, unique_for),
        _limit("concurrency", options.get("concurrency"), _count, parameters),
        _limit("rate", options.get("rate"), _rate, parameters),
    )


def _told(by: Template | None) -> str:
    return f" by {by.text}" if by else ""


def _named(signature: inspect.Signature) -> list[str]:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, parameter in signature.parameters.items() if parameter.kind not in several]


def _parsed(option: str, parse: Any, *values: Any) -> Any:
    try:
        return parse(*values)
    except ValueError as error:
        raise ValueError(f"{option} {error}") from None


def _limit(option: str, given: Any, parse: Any, parameters: list[str] | None) -> Any:
    if given is None:
        return None
    limit, by = given, None
    if isinstance(given, TaskLimit):
        limit, by = given.limit, given.by
    elif isinstance(given, Mapping):  # of the settings
        named = {str(key).lower(): value for key, value in given.items()}
        if unknown := sorted(named.keys() - {"limit", "by"}):
            raise ValueError(f"{option} has {', '.join(unknown)}, which is not one of limit, by")
        limit, by = named.get("limit"), named.get("by")
    template = None if by is None else _parsed(f"{option}: by", Template.parse, by, parameters)
    if template is not None and not template.fields:
        raise ValueError(f'{option}: by names no parameter; write it in braces, such as "{{customer}}"')
    return _parsed(option, parse, limit), template


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_CONCURRENCY:
        shown = value if type(value) is int else kind_of(value)
        raise ValueError(f"is {shown}, and should be a whole number from 1 to {MAX_CONCURRENCY:,}")
    return value


def _rate(value: Any) -> Rate:
    rates = rates_in(value)
    if len(rates) != 1 or rates[0].amount > MAX_STARTS:
        raise ValueError(f"should be one rate of up to {MAX_STARTS:,}, such as 10/m")
    return rates[0]


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"is {kind_of(value)}, and should be seconds")
    if not 1 <= value <= LONGEST_UNIQUE_FOR:
        raise ValueError(f"should be from 1 to {LONGEST_UNIQUE_FOR:.0f} seconds")
    return float(value)

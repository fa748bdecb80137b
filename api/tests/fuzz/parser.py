"""A parser of ours, and how to give it many inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from opa._util.watchdog import time_limit
from tests.fuzz.inputs import INPUTS_OF_EXAMPLE, Choices, inputs

TIME_LIMIT = 60.0
"""Seconds for one input. Each takes a thousandth of one: what needs longer on any machine has run away."""


@dataclass(frozen=True)
class Parser:
    """Something that reads what others have written.

    Attributes:
        name: says what it reads.
        make: makes an input.
        parse: takes the input or refuses it as it should; whatever else it raises is a mistake.
        inputs: how many `make test` gives it.
    """

    name: str
    make: Callable[[Choices], Any]
    parse: Callable[[Any], object]
    inputs: int = 2000


@dataclass
class Done:
    """How many inputs a parser was given, and the seconds of the processor that the slowest of them took."""

    count: int = 0
    slowest: float = 0.0


def give(parser: Parser, count: int, *, number: int | None = None) -> Done:
    """Give a parser so many inputs, or a few more.

    Args:
        parser: gets them.
        count: of inputs.
        number: of this run: each has other inputs, and one without a number always the same.

    Raises:
        Exception: the parser has failed; a note has the input.
    """
    done = Done()

    @settings(
        max_examples=-(-count // INPUTS_OF_EXAMPLE),
        database=None,
        deadline=None,
        derandomize=number is None,
        phases=[Phase.generate],  # an input is small as it is
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(parser.make))
    def parse_all(several: list[Any]) -> None:
        for each in several:
            since = time.thread_time()
            with _told(parser, each), time_limit(TIME_LIMIT):
                parser.parse(each)
            done.slowest = max(done.slowest, time.thread_time() - since)
        done.count += len(several)

    (parse_all if number is None else seed(number)(parse_all))()
    return done


@contextmanager
def _told(parser: Parser, given_input: Any) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"{parser.name} was given {given_input!r}")
        raise

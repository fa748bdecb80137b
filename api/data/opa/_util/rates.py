"""How often something may happen, as people write it: `100/minute`, `10/m`, `5/second; 1000 per 24 hours`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
"""Each with its seconds."""
SHORT: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
MAX_AMOUNT = 1_000_000_000
MAX_SECONDS = 366 * 86_400
EXAMPLE = "100/minute"

_RATE = re.compile(r"\s*([0-9]{1,10})\s*(?:/|\bper\b)\s*(?:([0-9]{1,9})\s*)?([a-z]{1,10})\s*", re.IGNORECASE | re.ASCII)
_BETWEEN = re.compile(r"[;,]")


class Rate(NamedTuple):
    """At most `amount` in any `seconds`, a whole number each."""

    amount: int
    seconds: int

    def __str__(self) -> str:
        return _text_of(self)


@lru_cache(1000)
def _text_of(rate: Rate) -> str:
    unit, length = next((unit, length) for unit, length in reversed(UNITS.items()) if rate.seconds % length == 0)
    count = rate.seconds // length
    return f"{rate.amount}/{unit}" if count == 1 else f"{rate.amount}/{count} {unit}s"


def rates_in(text: object) -> tuple[Rate, ...]:
    """The rates that `text` names, all of which hold at once, the shortest first.

    Raises:
        ValueError: it names none; the message says what it should be, and does not repeat it.
    """
    if not isinstance(text, str):
        raise ValueError(f"should be a text such as {EXAMPLE}")
    rates = [_rate(part) for part in _BETWEEN.split(text)]
    if len({rate.seconds for rate in rates}) < len(rates):
        raise ValueError("should have one limit for each length of time")
    return tuple(sorted(rates, key=lambda rate: rate.seconds))


def _rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"should be a number, a slash and a unit of time, such as {EXAMPLE} or 10/5 minutes")
    written = found[3].lower()
    unit = SHORT.get(written) or written.removesuffix("s")
    if unit not in UNITS:
        raise ValueError(f"should be for each {', '.join(list(UNITS)[:-1])} or day, such as {EXAMPLE}")
    rate = Rate(int(found[1]), int(found[2] or 1) * UNITS[unit])
    if not 1 <= rate.amount <= MAX_AMOUNT:
        raise ValueError(f"should allow 1 to {MAX_AMOUNT:,}")
    if not 1 <= rate.seconds <= MAX_SECONDS:
        raise ValueError("should be for a second to 366 days")
    return rate

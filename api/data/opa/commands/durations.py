"""Durations on the command line: `90d`, `24h`, `30m`."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_LONGEST = timedelta(days=36_500)


def duration(text: str, option: str) -> timedelta:
    """The duration that `text` says.

    Raises:
        typer.BadParameter: it says none, or one of more than a hundred years.
    """
    found = _DURATION.fullmatch("0s" if text == "0" else text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if length is None or length > _LONGEST:
        raise typer.BadParameter(
            f"{text!r} is not a duration such as 90d, 24h or 30m, of at most 100 years", param_hint=option
        )
    return length

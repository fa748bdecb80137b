"""The levels of the log, by name and by number."""

from __future__ import annotations

from opa._compat.loguru import core
from opa.errors import SettingsError

LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "success": 25,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "critical": 50,
}
NUMBERS = {name.upper(): number for name, number in LEVELS.items()}
NAMES = {number: name for name, number in NUMBERS.items() if name not in ("WARN", "FATAL")}


def is_heard_by_nobody(level: str | int) -> bool:
    """Whether no sink writes lines of this level, as loguru asks it: before that the message would be formatted."""
    number = NUMBERS.get(level, 0) if isinstance(level, str) else level
    return bool(0 < number < core.min_level)


def level_number(level: str | int) -> int:
    """The number of a level.

    Args:
        level: a name in any case (uvicorn's `trace` among them), or a number, also as a string.

    Raises:
        SettingsError: there is no such level.
    """
    if isinstance(level, int) and not isinstance(level, bool) and level >= 0:
        return level
    text = str(level).strip().lower()
    if text.isdecimal():
        return int(text)
    if text not in LEVELS:
        raise SettingsError(f"setting LOGLEVEL is {level!r}", hint=f"It is a number, or one of {', '.join(LEVELS)}")
    return LEVELS[text]

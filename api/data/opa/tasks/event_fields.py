"""What Celery's events of workers and tasks can say; anyone who reaches the broker can send others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LATEST = 2.0**37
"""Seconds since 1970 until the year 6325: a later time may be none that can be shown."""
MOST = 2**53
"""The largest of other numbers: a browser knows no larger one."""

MAX_NAME = 1024
"""Characters of a name or an id, as of those in messages."""
MAX_TEXT = 10_000
"""Characters of what a task was called with, has given, or has raised; the rest is cut off."""
_TEXTS = ("args", "kwargs", "result", "exception", "traceback")
_NAMES = (
    *("type", "hostname", "uuid", "name", "eta", "expires"),
    *("exchange", "routing_key", "queue", "root_id", "parent_id", "sw_ident", "sw_ver", "sw_sys"),
)
_NUMBERS = ("clock", "utcoffset", "pid", "freq", "active", "processed", "runtime", "retries", "signum")
_SWITCHES = ("terminated", "expired", "requeue")


def known_fields(event: Any) -> dict[str, Any] | None:
    """The fields of an event that Celery has; None where one is not what it should be, or it is of nothing.

    Others would take the place of what Celery's own objects have by that name, and no page shows them.
    """
    if not isinstance(event, Mapping):
        return None
    known = {name: value for name, value in event.items() if name in _KINDS and value is not None}
    if not all(_KINDS[name](value) for name, value in known.items()):
        return None
    for name in _TEXTS:
        if len(text := known.get(name, "")) > MAX_TEXT:
            known[name] = f"{text[:MAX_TEXT]}…"
    is_of_task = str(known.get("type")).startswith("task-")
    needed = ("type", "hostname", "timestamp", *(("uuid",) if is_of_task else ()))
    return known if all(known.get(name) not in (None, "") for name in needed) else None


def _is_text(value: Any) -> bool:
    # Half of a surrogate pair cannot be written into a page.
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


def _is_name(value: Any) -> bool:
    return _is_text(value) and len(value) <= MAX_NAME


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def _is_time(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= LATEST


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) <= 3 and all(map(_is_number, value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_TEXTS, _is_text),
    **dict.fromkeys(_NAMES, _is_name),
    **dict.fromkeys(_NUMBERS, _is_number),
    **dict.fromkeys(_SWITCHES, _is_switch),
    "timestamp": _is_time,
    "loadavg": _are_numbers,
}

"""What Flower takes from the events of workers: one that is none would break its pages until it starts anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from celery.events import EventReceiver
from celery.utils.log import get_logger

logger = get_logger(__name__)

LATEST = 2.0**37
"""Seconds since 1970 until the year 6325: a later time may be none that can be shown."""
MOST = 2**53
"""The largest of other numbers: a browser knows no larger one."""

MAX_NAME = 1024
"""Characters of a name or an id, as of those in messages."""
MAX_TEXT = 10_000
"""Characters of what a task was called with, has given, or has raised; the rest is cut off."""
MAX_BACKLOG = 10_000
"""Events that are heard and not in the pages yet."""
PATIENCE = 5.0
"""Seconds for which no more events are taken where so many wait; the broker drops them after as long."""

backlog = threading.Semaphore(MAX_BACKLOG)
"""Is acquired for each event, and released when the pages have it."""

_TEXTS = ("args", "kwargs", "result", "exception", "traceback")
_NAMES = (
    *("type", "hostname", "uuid", "name", "eta", "expires"),
    *("exchange", "routing_key", "queue", "root_id", "parent_id", "sw_ident", "sw_ver", "sw_sys"),
)
_NUMBERS = ("clock", "utcoffset", "pid", "freq", "active", "processed", "runtime", "retries", "signum")
_SWITCHES = ("terminated", "expired", "requeue")


class Events(EventReceiver):
    """Hears all events, and passes on those that Celery could have sent."""

    def event_from_message(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        """The type of an event and its fields; no fields where it is none."""
        known = known_fields(body)
        return ("", {}) if known is None else super().event_from_message(known, *args, **kwargs)

    def process(self, type: str, event: Any) -> None:
        """Called with each event."""
        if event:
            backlog.acquire(timeout=PATIENCE)
            super().process(type, event)
        else:
            logger.debug("An event is dropped, since it is none of Celery's")


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

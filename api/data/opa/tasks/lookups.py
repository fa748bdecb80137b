"""Names in Celery's settings that it looks up when it needs them: a wrong one would end a process that has long run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from celery.utils.time import rate
from kombu.serialization import registry  # type: ignore[attr-defined]  # its stubs lack it

from opa.tasks.unpacking import can_unpack


def _time_zone(name: str) -> None:
    if name.upper() != "UTC":
        ZoneInfo(name)


def _serializer(name: str) -> None:
    if name not in registry.name_to_type:
        raise ValueError(name)


def _compression(name: str) -> None:
    if not can_unpack(name):
        raise ValueError(name)


LOOKED_UP: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "timezone": (_time_zone, "a time zone such as Europe/Oslo"),
    "task_serializer": (_serializer, "json"),
    "result_serializer": (_serializer, "json"),
    "event_serializer": (_serializer, "json"),
    "task_compression": (_compression, "gzip, bzip2 or lzma"),
    "task_default_rate_limit": (rate, 'a number for each second, or a text such as "100/m"'),
}
"""What looks up the value of a setting, and what it should be."""


def unknown_names(conf: Any) -> Iterator[tuple[str, str]]:
    """The settings whose value names nothing, each with what it should be."""
    for name, (look_up, expected) in LOOKED_UP.items():
        value = conf[name]
        if not value:
            continue
        try:
            look_up(value)
        except Exception:  # noqa: BLE001 - each raises what it likes for what it does not know
            yield name, f'is "{value}", should be {expected}'

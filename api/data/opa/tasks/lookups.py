"""Names and numbers for Celery that it looks at late: a wrong one would end a process that has long run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from numbers import Number
from typing import Any
from zoneinfo import ZoneInfo

from celery.app.defaults import NAMESPACES, flatten
from celery.concurrency import ALIASES as POOLS  # type: ignore[attr-defined]  # its stubs lack it
from celery.utils.imports import cwd_in_path
from celery.utils.serialization import strtobool
from celery.utils.time import rate
from kombu import Connection
from kombu.compression import get_encoder
from kombu.entity import maybe_delivery_mode
from kombu.serialization import prepare_accept_content, registry  # type: ignore[attr-defined]  # its stubs lack it

from opa.tasks.setting_keys import MAPPINGS
from opa.tasks.unpacking import can_unpack

LookUp = tuple[Callable[[Any], object], str]


def _time_zone(name: str) -> None:
    if name != "UTC":  # which is known also where the system has no zones
        ZoneInfo(name)


def _serializer(name: str) -> None:
    if name not in registry.name_to_type:
        raise ValueError(name)


def _compression(name: str) -> None:
    if not can_unpack(name):
        raise ValueError(name)


def _rate(value: Any) -> None:
    if not isinstance(rate(value), Number):
        raise TypeError(value)


def _number(value: Any) -> None:
    if isinstance(value, str | list | Mapping):
        float(value)  # type: ignore[arg-type]  # a text may be one; the others raise


def _modules(names: str | Iterable[str]) -> None:
    with cwd_in_path():  # as Celery does
        for name in [names] if isinstance(names, str) else names:
            if name not in sys.modules and find_spec(name) is None:
                raise ValueError(name)


def _pool(name: Any) -> None:
    if name in ("eventlet", "gevent"):  # the class is there without the package
        _modules(name)
    else:
        _class(POOLS.get(name, name))


def _class(name: Any) -> None:
    if not isinstance(name, str):
        return
    module, _, class_name = name.rpartition(":" if ":" in name else ".")
    if not module or not class_name:
        raise ValueError(name)
    _modules(module)


def _mapping(value: Any) -> None:
    if not isinstance(value, Mapping | bool):  # a switch is checked as one
        raise TypeError(value)


def _queues(value: Any) -> None:
    if isinstance(value, str):
        raise TypeError(value)


def _switch(value: Any) -> None:
    if isinstance(value, str):
        strtobool(value)


def _failover(value: Any) -> None:
    if isinstance(value, str) and value not in Connection.failover_strategies:
        raise ValueError(value)


def _exchange_type(name: str) -> None:
    if name not in ("direct", "topic", "fanout", "headers") and not name.startswith("x-"):
        raise ValueError(name)


def _exceptions(value: Any) -> None:
    if not all(issubclass(kind, BaseException) for kind in value):
        raise TypeError(value)


OF_TASKS: Mapping[str, LookUp] = {
    "rate_limit": (_rate, 'a number for each second, or a text such as "100/m"'),
    "serializer": (_serializer, "json"),
    "compression": (_compression, "gzip, bzip2 or lzma"),
    "autoretry_for": (_exceptions, "a tuple of exception classes, such as (ConnectionError,)"),
}
"""What looks up the value of an option of a task, and what it should be."""

_CELERYS: tuple[Any, ...] = tuple(flatten(NAMESPACES))
_NUMBERS = frozenset(name for name, option in _CELERYS if option.type in ("int", "float", int, float)) | {
    "task_default_priority"  # which Celery takes for a text
}
_SWITCHES = frozenset(name for name, option in _CELERYS if option.type in ("bool", bool))
_OF_MAPPINGS = MAPPINGS - {"task_annotations", "task_routes"}  # which may be the name of a class
_MAPPING = 'a mapping, which in a variable may be JSON: {"a": 1}'
_CLASS = (_class, "a class such as package.module:Class")
_CONTENT = (prepare_accept_content, 'a list such as ["json"]')
_IMPORTED = (_modules, "a list of modules, each of which can be imported")

LOOKED_UP: Mapping[str, LookUp] = {
    **dict.fromkeys(sorted(_NUMBERS), (_number, "a number")),
    **dict.fromkeys(sorted(_SWITCHES), (_switch, "true or false")),
    **dict.fromkeys(["beat_scheduler", "worker_agent", "worker_autoscaler", "worker_consumer", "worker_timer"], _CLASS),
    **dict.fromkeys(sorted(_OF_MAPPINGS), (_mapping, _MAPPING)),
    "task_queues": (_queues, _MAPPING),
    "broker_failover_strategy": (_failover, "round-robin or shuffle"),
    "timezone": (_time_zone, "a time zone such as Europe/Oslo"),
    "task_serializer": OF_TASKS["serializer"],
    "result_serializer": OF_TASKS["serializer"],
    "event_serializer": OF_TASKS["serializer"],
    "task_default_delivery_mode": (maybe_delivery_mode, "persistent or transient"),
    "task_default_exchange_type": (_exchange_type, "direct, topic, fanout, headers, or a plugin's of RabbitMQ (x-…)"),
    "task_compression": OF_TASKS["compression"],
    "result_compression": (get_encoder, "gzip, bzip2 or lzma"),
    "task_default_rate_limit": OF_TASKS["rate_limit"],
    "accept_content": _CONTENT,
    "result_accept_content": _CONTENT,
    "imports": _IMPORTED,
    "include": _IMPORTED,
    "worker_pool": (_pool, "prefork, threads, solo, or a class such as package.module:Pool"),
}
"""The same for settings."""


def read_texts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, where a text that means a number or a switch is one, as in an INI file, and `off` in YAML.

    Only those of Celery's that are numbers and switches: to Python each text is true.
    """
    return {name: _read(name, value) if isinstance(value, str) else value for name, value in settings.items()}


def _read(name: str, text: str) -> Any:
    kinds: tuple[Callable[[str], Any], ...] = (int, float) if name in _NUMBERS else ()
    for kind in (strtobool,) if name in _SWITCHES else kinds:
        with suppress(ValueError, TypeError):
            return kind(text.strip())
    return text


def unknown_names(conf: Any) -> Iterator[tuple[str, str]]:
    """The settings whose value names nothing, each with what it should be."""
    for name, look_up in LOOKED_UP.items():
        if problem := _problem(conf[name], *look_up):
            # Options of a client may have a password.
            yield name, f"should be {look_up[1]}" if name in _OF_MAPPINGS else problem
    for kind, own_name in (("task", "accept_content"), ("result", "result_accept_content")):
        name = own_name if conf[own_name] else "accept_content"
        serializer, accepted = conf[f"{kind}_serializer"], conf[name]
        with suppress(Exception):  # one that is wrong is told above
            if accepted and registry.name_to_type[serializer] not in (prepare_accept_content(accepted) or ()):
                yield name, f'lacks "{serializer}", in which each {kind} is written (CELERY_{kind.upper()}_SERIALIZER)'
    annotations = conf.task_annotations
    for annotation in annotations if isinstance(annotations, list | tuple) else [annotations]:
        for task, options in annotation.items() if isinstance(annotation, Mapping) else ():
            for option, problem in unknown_of_task(options) if isinstance(options, Mapping) else ():
                yield "task_annotations", f"{option} of '{task}' {problem}"


def unknown_of_task(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those of a task's options whose value names nothing, each with what it should be."""
    for name, look_up in OF_TASKS.items():
        if problem := _problem(options.get(name), *look_up):
            yield name, problem


def _problem(value: Any, look_up: Callable[[Any], object], expected: str) -> str:
    if not value:
        return ""
    try:
        look_up(value)
    except Exception:  # noqa: BLE001 - each raises what it likes for what it does not know
        shown = f'"{value}"' if isinstance(value, str) else value
        return f"is {shown}, should be {expected}"
    return ""

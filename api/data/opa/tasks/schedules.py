"""What a schedule may be written as: in the decorator of a task, and in the settings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab

from opa._util.suggestions import nearest
from opa._util.words import kind_of

FORMS = 'seconds, a timedelta, or five fields such as "*/5 * * * *"'
ENTRY_KEYS = frozenset({"task", "schedule", "args", "kwargs", "options", "relative", "enabled"})
_SWITCH = {
    text: on for on, texts in {True: ("true", "yes", "on"), False: ("false", "no", "off")}.items() for text in texts
}


def parse_schedule(value: Any) -> float | timedelta | BaseSchedule:
    """The schedule that `value` means: seconds, a `timedelta`, a Celery schedule, or the fields of a crontab entry.

    Raises:
        ValueError: it means none; the message says why.
    """
    if isinstance(value, str):
        try:
            return crontab.from_string(" ".join(value.split()))
        except Exception as error:
            # Celery raises whatever its parser stumbles over.
            raise ValueError(f"'{value}' is not a crontab entry: {error}") from error
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta | BaseSchedule):
        raise ValueError(f"{kind_of(value)} is none")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, int | float) and not seconds > 0:
        raise ValueError("the time between two runs should be more than 0")
    return value


def parse_entries(
    entries: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], planned: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The entries of a `beat_schedule` from the settings, as Celery takes them; one may say that it is not `enabled`.

    Args:
        functions: those of the tasks, by name. An entry of such a name is one of this task, unless it says otherwise.
        planned: the entries that the tasks have by themselves.

    Raises:
        ValueError: one of them is of no use; the message names it and says why.
    """
    parsed = {}
    _check_keys("the schedule of the settings", entries)
    for written, entry in entries.items():
        name = task_named(written, functions)
        by_itself = planned.get(name, {"task": name} if name in functions else {})
        parsed[name] = _parse_entry(name, entry, by_itself, functions)
    return parsed


def task_named(written: Any, names: Collection[str]) -> Any:
    """The name of a task as a key of the settings has it: a variable may have it in upper case."""
    return written if written in names else next((each for each in names if each.upper() == written), written)


def _parse_entry(
    name: str, written: Any, by_itself: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    if isinstance(written, Mapping):
        _check_keys(f"the entry '{name}'", written)
    entry = {**by_itself, **_lowered(written)} if isinstance(written, Mapping) else {}
    if not isinstance(entry.get("task"), str):
        near = nearest(name, functions)
        raise ValueError(f"the entry '{name}' names no task" + (f"; did you mean '{near}'?" if near else ""))
    if unknown := sorted(set(entry) - ENTRY_KEYS):
        raise ValueError(
            f"the entry '{name}' has {', '.join(unknown)}, which is not one of {', '.join(sorted(ENTRY_KEYS))}"
        )
    entry |= {part: _switch(part, name, entry[part]) for part in ("enabled", "relative") if part in entry}
    entry |= {part: _from_json(entry[part]) for part in ("args", "kwargs", "options") if part in entry}
    for part in ("kwargs", "options"):
        if (names := entry.get(part)) is None:
            continue
        if not isinstance(names, Mapping):
            raise ValueError(f"the {part} of the entry '{name}' are {kind_of(names)}, and should be names with values")
        _check_keys(f"{part} of the entry '{name}'", names)
    if not isinstance(args := entry.get("args"), list | tuple | type(None)):
        raise ValueError(f"the args of the entry '{name}' are {kind_of(args)}, and should be a list")
    if (options := entry.get("options")) is not None:
        entry["options"] = _lowered(options)
    function = functions.get(entry["task"])
    if (kwargs := entry.get("kwargs")) is not None and function is not None:
        entry["kwargs"] = _named_as_parameters(kwargs, function)
    try:
        return entry | {"schedule": parse_schedule(entry.get("schedule"))}
    except ValueError as error:
        raise ValueError(f"the schedule of the entry '{name}' cannot be used: {error}. Write {FORMS}") from error


def _from_json(value: Any) -> Any:
    """What a variable says, in which a list or a mapping is JSON; else the value itself."""
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _switch(part: str, name: str, value: Any) -> bool:
    found = _SWITCH.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(f"{part} of the entry '{name}' is {kind_of(value)}, and should be true or false")
    return found


def _check_keys(what: str, names: Mapping[Any, Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{what} has the key {name!r}, {kind_of(name)}, and keys are texts: put it into quotes")


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower() if name.isupper() else name: item for name, item in value.items()}


def _named_as_parameters(kwargs: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    function = getattr(function, "run", function)  # a task may be a class
    parameters = inspect.signature(function).parameters
    return {
        name.lower() if name not in parameters and name.lower() in parameters else name: value
        for name, value in kwargs.items()
    }

"""Marks in JSON, by which a value arrives with its type: `{"__type__": NAME, "__value__": …}`, as kombu has them.

Kombu's own carry times, `Decimal`, `UUID` and `bytes`. So are marked here tuples, dicts that JSON would make something
else of, times in a zone with a name, a dict of a client that happens to look like a mark, and what an annotation reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from kombu.utils import json as kombu_json

DICT = "dict"
"""The marker of a dict, whose value is a list of its keys and values in turns."""
TUPLE = "tuple"
ZONED = "zoned"
"""The marker of a time in a time zone with a name: kombu's JSON keeps its offset alone."""
TYPED = "typed"
"""The marker of what an annotation reads: name of the task and of its parameter, and how it is written."""
PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types that need no mark."""

_MARKED = {"__type__", "__value__"}
_TEXT = frozenset({str})
_CONTAINERS = frozenset({dict, list, tuple})
_TIMES = frozenset({datetime, time})
_BY_KOMBU = frozenset({date, Decimal, UUID, bytes})


class TooLargeError(ValueError):
    """What is to be sent is larger than TASK_MAX_BYTES, or nested deeper than TASK_MAX_DEPTH."""


class TooDeepError(TooLargeError):
    """It is nested too deeply."""


class InexactError(TypeError):
    """A value would arrive as another one."""


@dataclass(frozen=True)
class Typed:
    """What an annotation has written, and has not read yet.

    Attributes:
        task: the name of the task.
        name: of the parameter.
        value: what can be written as JSON.
        is_json: whether `value` is a text of JSON by itself.
        member: 0 for the whole annotation, 1 for the first member of a union.
    """

    task: str
    name: str
    value: Any
    is_json: bool = False
    member: int = 0


@dataclass(frozen=True)
class Marked:
    """JSON whose marks are set."""

    json: Any


def exactly(value: Any, depth: int, *, or_equal: bool) -> Any:
    """`value` with marks, so that it arrives with its types; the same object where nothing is to be done.

    Args:
        depth: levels of lists and dicts that it may have.
        or_equal: whether it may arrive as another type if it is equal, such as a subclass of `str` as a `str`.

    Raises:
        InexactError: it would arrive as something else.
        TooDeepError: it has more levels.
    """
    kind = type(value)
    if kind in PLAIN or kind in _BY_KOMBU:
        return value
    if isinstance(value, dict | list | tuple):
        if kind not in _CONTAINERS and not or_equal:
            raise InexactError(f"JSON has no {kind.__name__}")
        check_depth(depth)
        return _dict(value, depth - 1, or_equal) if isinstance(value, dict) else _items(value, depth - 1, or_equal)
    if kind is Typed:
        inner = exactly(value.value, depth, or_equal=True)
        return _mark(TYPED, [value.task, value.name, inner, value.is_json, value.member])
    if kind in _TIMES and (value.tzinfo is None or isinstance(value.tzinfo, timezone | ZoneInfo)):
        return _zoned(value) if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key else value
    if not or_equal or not _is_equal_by_kombu(value):
        raise InexactError(f"JSON has no {kind.__name__}")
    return value


def _dict(value: dict[Any, Any], depth: int, or_equal: bool) -> dict[str, Any]:
    # Sets and `map` look at small values within a fraction of what a loop takes.
    if needs_mark(value):
        parts = [part for pair in value.items() for part in pair]
        return _mark(DICT, [exactly(part, depth, or_equal=or_equal) for part in parts])
    if PLAIN.issuperset(map(type, value.values())):
        return value
    return {
        key: item if type(item) in PLAIN else exactly(item, depth, or_equal=or_equal) for key, item in value.items()
    }


def _items(value: list[Any] | tuple[Any, ...], depth: int, or_equal: bool) -> Any:
    items: Any = value
    if not PLAIN.issuperset(map(type, value)):
        items = [exactly(item, depth, or_equal=or_equal) for item in value]
    return _mark(TUPLE, list(items)) if isinstance(value, tuple) else items


def _zoned(value: datetime | time) -> dict[str, Any]:
    text = value.isoformat() if isinstance(value, datetime) else value.replace(tzinfo=None).isoformat()
    assert isinstance(value.tzinfo, ZoneInfo)  # noqa: S101 - that is what it is called for
    return _mark(ZONED, [type(value).__name__, text, value.tzinfo.key, value.fold])


def _is_equal_by_kombu(value: Any) -> bool:
    try:
        return bool(kombu_json.loads(kombu_json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def loosely(value: Any, depth: int) -> Any:
    """What is no argument and no result, with dicts marked that would not arrive as they are.

    Other programs read such messages, too, so that a tuple is a list there.

    Raises:
        TooDeepError: it has more levels than `depth`.
        TypeError: a tuple is the key of a dict.
    """
    if isinstance(value, dict):
        check_depth(depth)
        return _loose_dict(value, depth - 1)
    if isinstance(value, list | tuple):
        check_depth(depth)
        if PLAIN.issuperset(map(type, value)):
            return value
        return [item if type(item) in PLAIN else loosely(item, depth - 1) for item in value]
    if isinstance(value, Marked | Typed):
        return value.json if isinstance(value, Marked) else exactly(value, depth, or_equal=True)
    return value  # kombu's encoder knows it, or refuses it


def _loose_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    if needs_mark(value):
        if any(isinstance(key, tuple) for key in value):
            raise TypeError("a tuple is the key of a dict")
        return _mark(DICT, [part for key, item in value.items() for part in (key, loosely(item, depth))])
    if PLAIN.issuperset(map(type, value.values())):
        return value
    return {key: item if type(item) in PLAIN else loosely(item, depth) for key, item in value.items()}


def needs_mark(value: dict[Any, Any]) -> bool:
    """Whether a dict would not arrive as it is: it looks like a mark, or has keys that are no texts."""
    return not _TEXT.issuperset(map(type, value)) or value.keys() == _MARKED


def named(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a task by their names, whose values are marked; a client may name them as a mark has them."""
    return _mark(DICT, [part for pair in arguments.items() for part in pair]) if needs_mark(arguments) else arguments


def check_depth(depth: int) -> None:
    """Raise a `TooDeepError` where no level is left."""
    if depth <= 0:
        raise TooDeepError("lists and dicts in it are nested too deeply")


def _mark(marker: str, value: list[Any]) -> dict[str, Any]:
    return {"__type__": marker, "__value__": value}


def unmarked(found: dict[str, Any], read: Callable[[Typed], Any]) -> Any:
    """The value of a mark. A dict that only looks like one stays one.

    Args:
        found: a dict of the JSON, whose values are unmarked.
        read: reads what an annotation has written.

    Raises:
        ValueError: the value cannot be made.
    """
    if found.keys() != _MARKED:
        return found
    marker, value = found["__type__"], found["__value__"]
    if not isinstance(marker, str):
        return found
    if isinstance(value, list):
        if marker == TYPED and _is_typed(value):
            return read(Typed(*value))
        if ours := _READERS.get(marker):
            return ours(value)
    try:
        return kombu_json.object_hook(found)
    except ValueError as error:
        if "Unsupported type" not in error.args:
            raise
        return found  # of no type that kombu knows: a dict that happens to look like one


def _is_typed(value: list[Any]) -> bool:
    if len(value) != len(fields(Typed)):
        return False
    task, name, _, is_json, member = value
    return type(task) is str and type(name) is str and type(is_json) is bool and type(member) is int


def _dict_of(value: list[Any]) -> dict[Any, Any]:
    return dict(zip(value[::2], value[1::2], strict=True))


def _time_of(value: list[Any]) -> datetime | time:
    kind, text, key, fold = value
    if kind == time.__name__:
        return time.fromisoformat(text).replace(tzinfo=ZoneInfo(key), fold=fold)
    point = datetime.fromisoformat(text)
    try:
        return point.replace(tzinfo=ZoneInfo(key), fold=fold)
    except KeyError:  # a machine without this zone: the same moment, by its offset
        return point


_READERS: dict[str, Callable[[list[Any]], Any]] = {DICT: _dict_of, TUPLE: tuple, ZONED: _time_of}

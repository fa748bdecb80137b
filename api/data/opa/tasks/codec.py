"""How arguments and results are written as JSON: what arrives equals what was sent, within limits.

Celery's JSON is kombu's, which carries some types that JSON does not have as `{"__type__": NAME, "__value__": …}`. A
dict of a client that happens to look like that would arrive as something else. It is written here as a dict that is
marked as one, and so is a dict with keys that are no texts, which JSON would turn into texts.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from kombu.serialization import register
from kombu.utils import json as kombu_json

from opa.core.settings_schema import MAX_TASK_DEPTH

NAME = "json"
"""The serializer's name: it takes the place of kombu's, so that it holds wherever somebody asks for JSON."""
CONTENT_TYPE = "application/json"
DICT = "dict"
"""The marker of a dict, whose value is a list of its keys and values in turns."""
DEEPEST = MAX_TASK_DEPTH + 2
"""Levels that are written at all."""

_MARKED = {"__type__", "__value__"}
_TEXT = frozenset({str})
_PLAIN = frozenset({str, int, float, bool, type(None)})


class TooLargeError(ValueError):
    """What is to be sent is larger than TASK_MAX_BYTES, or nested deeper than TASK_MAX_DEPTH."""


@dataclass(frozen=True)
class Limits:
    """What the message of a task may hold.

    Attributes:
        bytes: of its body, before it is compressed.
        depth: levels of lists and dicts in an argument.
    """

    bytes: int = 1_048_576
    depth: int = 100


# Kombu's serializers belong to the process and not to an application.
_limits: ContextVar[Limits | None] = ContextVar("opa_task_limits", default=None)

_ARGUMENTS_LIE_AT = 2
"""An argument stands in the list of arguments, and that in the body of a message."""


class Limited:
    """A context in which what is encoded is held to `limits`."""

    # No generator: it would take a tenth of what sending a small task takes.
    def __init__(self, limits: Limits) -> None:
        self._limits_here = limits

    def __enter__(self) -> None:
        self._token = _limits.set(self._limits_here)

    def __exit__(self, *_: object) -> None:
        _limits.reset(self._token)


def encode(value: Any) -> str:
    """`value` as JSON.

    Raises:
        TooLargeError: it is too large, or nested too deeply.
        TypeError: it holds something that is not JSON.
        ValueError: it holds itself, or a number of too many digits.
    """
    limits = _limits.get()
    depth = DEEPEST if limits is None else min(limits.depth + _ARGUMENTS_LIE_AT, DEEPEST)
    text = kombu_json.dumps(_marked(value, depth))
    if limits is not None and len(text) > limits.bytes:
        raise TooLargeError(f"it takes {len(text)} bytes, and TASK_MAX_BYTES is {limits.bytes}")
    return text


def decode(data: str | bytes | memoryview) -> Any:
    """What `encode`, or kombu's JSON, was given. A dict that only looks like a marked value stays one.

    Raises:
        ValueError: it is not JSON, or a marked value cannot be made.
    """
    return kombu_json.loads(data, object_hook=_unmarked)


def _marked(value: Any, depth: int) -> Any:
    """`value` with dicts marked that would not arrive as they are; the same object where nothing is to be done."""
    # Sets and `map` look at small values within a fraction of what a loop takes.
    if isinstance(value, dict):
        _check(depth)
        if not _TEXT.issuperset(map(type, value)) or value.keys() == _MARKED:
            return _marked_dict(value, depth)
        if _PLAIN.issuperset(map(type, value.values())):
            return value
        return {key: item if type(item) in _PLAIN else _marked(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        _check(depth)
        if _PLAIN.issuperset(map(type, value)):
            return value
        return [item if type(item) in _PLAIN else _marked(item, depth - 1) for item in value]
    return value  # kombu's encoder knows it, or refuses it


def _marked_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    if any(isinstance(key, tuple) for key in value):
        raise TypeError("a tuple is the key of a dict")
    pairs = [part for key, item in value.items() for part in (key, _marked(item, depth - 1))]
    return {"__type__": DICT, "__value__": pairs}


def _check(depth: int) -> None:
    if depth <= 0:
        limits = _limits.get()
        named = f"TASK_MAX_DEPTH is {limits.depth}" if limits else f"{DEEPEST} is the limit"
        raise TooLargeError(f"lists and dicts in it are nested too deeply, {named}")


def _unmarked(found: dict[str, Any]) -> Any:
    if found.keys() != _MARKED:
        return found
    marker, value = found["__type__"], found["__value__"]
    if marker == DICT and isinstance(value, list):
        return dict(zip(value[::2], value[1::2], strict=True))
    if not isinstance(marker, str):
        return found
    try:
        return kombu_json.object_hook(found)
    except ValueError as error:
        if "Unsupported type" not in error.args:
            raise
        return found  # of no type that kombu knows: a dict that happens to look like one


register(NAME, encode, decode, content_type=CONTENT_TYPE, content_encoding="utf-8")

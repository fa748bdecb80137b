"""A payload is JSON, or a Pydantic model that is sent as JSON: what would arrive as something else is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from math import isfinite
from typing import Any

from pydantic import BaseModel

from opa.errors import OpaError

_PLAIN = (str, int, float, bool, type(None))
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_LEVELS = 200
"""Lists and dicts in each other: as many as Pydantic's parser reads. Python's own limit differs from version to
version, and with how deep the caller is, so that what one process sends another could not read."""
_MOST_BITS = 10_000
"""Python writes no number of more than 4,300 digits, unless it is asked to."""


def as_json(name: str, payload: Any) -> Any:
    """What is sent of a payload.

    Args:
        name: of the event, for messages.
        payload: as it was emitted.

    Raises:
        OpaError: it would not arrive as it is.
    """
    if isinstance(payload, BaseModel):
        return _of_model(name, payload)
    with suppress(TypeError):
        return _copied(payload, _LEVELS)
    try:
        read = json.loads(json.dumps(payload, allow_nan=False))
        is_same = _is_same(payload, read, _LEVELS)
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused(name, str(error) or type(error).__name__) from error
    if not is_same:
        raise _refused(name, "JSON has lists, and dicts with texts as keys, in the place of what is in it")
    # What was read, since whoever emits may go on to change the payload before a handler in this process has it.
    return read


def _copied(value: Any, levels: int) -> Any:
    """What JSON reads of itself: nearly every payload. A third of the time that it takes to write and to read it.

    Raises:
        TypeError: it may be JSON all the same, or may not; or it has more levels.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE or (kind is int and value.bit_length() < _MOST_BITS):
        return value
    if kind is float and isfinite(value):
        return value
    if levels and kind is list:
        return [_copied(item, levels - 1) for item in value]
    if not levels or kind is not dict or not all(type(key) is str for key in value):
        raise TypeError(kind)
    return {key: _copied(item, levels - 1) for key, item in value.items()}


def _of_model(name: str, model: BaseModel) -> Any:
    kind = type(model)
    try:
        written = model.model_dump(mode="json", round_trip=True, by_alias=False, warnings=False)
        read = kind.model_validate_json(json.dumps(written, allow_nan=False), by_alias=True, by_name=True)
    except Exception as error:
        raise _refused(name, f"the {kind.__name__} cannot be written as JSON and read again: {error}") from error
    if read != model:
        raise _refused(name, f"what is read of it is another {kind.__name__}")
    return written


def _is_same(value: Any, read: Any, levels: int) -> bool:
    """Whether JSON has kept the types, subclasses of these included: `1` is not `True`, a tuple is no list.

    Raises:
        ValueError: it has more levels.
    """
    if isinstance(value, _PLAIN):
        return True
    if not levels:
        raise ValueError(f"it is nested in more than {_LEVELS} levels")
    if isinstance(value, dict):
        return (
            isinstance(read, dict)
            and all(isinstance(key, str) for key in value)
            and all(_is_same(item, read[key], levels - 1) for key, item in value.items())
        )
    if isinstance(value, list):
        return isinstance(read, list) and all(_is_same(*both, levels - 1) for both in zip(value, read, strict=True))
    return False


def _refused(name: str, why: str) -> OpaError:
    return OpaError(
        f"emit({name!r}): the payload is neither JSON nor a Pydantic model that is the same as JSON: {why}",
        hint="Send texts, numbers, lists and dicts, or a model; what is large belongs into a component",
    )

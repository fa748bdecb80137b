"""Values of a model as MongoDB keeps them, and the ids of documents as texts in an address."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId, json_util
from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

_AS_THEY_ARE = (bool, int, float, str, bytes, datetime, ObjectId)
_COMPARED = (*_AS_THEY_ARE, Binary, Decimal128, Int64)
_DEEPEST = 10
_OTHER = "~"
"""Before the JSON of an id that a text alone does not stand for."""


def kept(value: Any) -> Any:
    """What MongoDB keeps for it: itself, or what stands for it in JSON, where BSON has nothing of its kind."""
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Enum | SecretStr):
        return kept(value.value if isinstance(value, Enum) else value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: kept(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): kept(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [kept(each) for each in value]
    return value.isoformat() if isinstance(value, date) else to_jsonable_python(value)


def text_of(identity: Any) -> str:
    """The id of a document as a text; the same for no other."""
    if isinstance(identity, ObjectId):
        return str(identity)
    # In an address, an empty text is none.
    is_text = type(identity) is str  # Code is one, too
    if is_text and identity and not ObjectId.is_valid(identity) and not identity.startswith(_OTHER):
        return str(identity)
    return _OTHER + json_util.dumps(Binary.from_uuid(identity) if isinstance(identity, UUID) else identity)


def identity_of(text: str) -> Any:
    """The id for which a text stands; None for none.

    What it gives is compared and never an operator, or an expression: in a mapping, no key begins with `$`.
    """
    if not text.startswith(_OTHER):
        return ObjectId(text) if ObjectId.is_valid(text) else text
    with suppress(Exception):  # a text that anybody may have written
        value = json_util.loads(text[len(_OTHER) :])
        return value if _is_compared(value) and text_of(value) == text else None
    return None


def _is_compared(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict) and depth < _DEEPEST:
        return not any(key.startswith("$") for key in value) and all(
            _is_compared(each, depth + 1) for each in value.values()
        )
    if isinstance(value, list) and 0 < depth < _DEEPEST:  # MongoDB has no list as an id
        return all(_is_compared(each, depth + 1) for each in value)
    return type(value) in _COMPARED or (value is None and depth > 0)

"""Values of a model as MongoDB keeps them, and the ids of documents as texts in an address."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from typing import Any

from bson import ObjectId, json_util
from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

_AS_THEY_ARE = (bool, int, float, str, bytes, datetime, ObjectId)
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
    if isinstance(identity, str) and not ObjectId.is_valid(identity) and not identity.startswith(_OTHER):
        return identity
    return _OTHER + json_util.dumps(identity)


def identity_of(text: str) -> Any:
    """The id for which a text stands; None for none.

    What it gives is compared and never an operator, or an expression: a mapping is none of them.
    """
    if not text.startswith(_OTHER):
        return ObjectId(text) if ObjectId.is_valid(text) else text
    with suppress(Exception):  # a text that anybody may have written
        value = json_util.loads(text[len(_OTHER) :])
        return value if type(value) in _AS_THEY_ARE and text_of(value) == text else None
    return None

"""What a form has shown, and what of it comes back as it was.

A browser sends all fields of a form, most of them as they were shown, and not each as it is: it has no line breaks in a
text of one line, others in one of several, no parts of a second, and one empty text for what is nothing and what is
empty. So a form of an edit carries a digest of what it has shown in each field. A field that comes back like that was
not changed, and is not written: neither does its value become another one, nor is lost what another user has made of
it meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, time
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from starlette.datastructures import FormData
from starlette_admin.fields import (
    BaseField,
    BooleanField,
    CollectionField,
    DateField,
    DateTimeField,
    FileField,
    ListField,
    NumberField,
    RelationField,
    TagsField,
    TextAreaField,
    TimeField,
)

from opa.plugins.admin_panels.fields import SecretField

NAME: Final = "opa_shown"
"""Of the hidden field."""
_WITHOUT = (SecretField, CollectionField, FileField)
"""Of them, a form has no value, or several."""
_LONGEST: Final = 100_000
"""Characters of the hidden field."""


def digests(fields: Iterable[BaseField], values: Mapping[str, Any]) -> dict[str, str]:
    """The digests of what a form shows, by the names of its fields.

    Args:
        fields: of the form.
        values: as the form shows them, by the names of the fields.
    """
    return {
        field.name: _digest(field, _shown(field, values.get(field.name)))
        for field in fields
        if not field.read_only and not isinstance(field, _WITHOUT)
    }


def without_place(fields: Iterable[BaseField], values: Mapping[str, Any]) -> set[str]:
    """The names of the fields of a form that are empty in a browser, since their values are none of their kind.

    Args:
        fields: of the form.
        values: as the form shows them, by the names of the fields.
    """
    return {
        field.name
        for field in fields
        if (value := values.get(field.name)) is not None and isinstance(value, str) and not _can_show(field, value)
    }


def sent_digests(fields: Iterable[BaseField], form: FormData) -> dict[str, str]:
    """The digests of what has come back, by the names of the fields."""
    return {
        field.name: _digest(field, [text for text in _sent(field, form) if isinstance(text, str)])
        for field in fields
        if not field.read_only and not isinstance(field, _WITHOUT)
    }


def carried(form: FormData) -> dict[str, str]:
    """The digests that a form has carried; none, where it carries no such thing."""
    text = form.get(NAME)
    if not isinstance(text, str) or len(text) > _LONGEST:
        return {}
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict):
            return {name: each for name, each in found.items() if isinstance(each, str)}
    return {}


def _shown(field: BaseField, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(field, BooleanField):
        return ["on"] if value else []
    is_several = isinstance(value, list | tuple | set | frozenset | dict)
    return [str(each) for each in value] if is_several else [str(value)] if _can_show(field, str(value)) else []


def _can_show(field: BaseField, text: str) -> bool:
    """Whether a browser has the text in its field: in one of numbers or days there is nothing in place of a word."""
    read: Callable[[str], Any] = str
    if isinstance(field, TimeField):
        read = time.fromisoformat
    elif isinstance(field, DateTimeField):
        read = datetime.fromisoformat
    elif isinstance(field, NumberField):
        read = float
    try:
        found = read(text)
    except ValueError:
        return False
    return not isinstance(found, float) or isfinite(found)


def _sent(field: BaseField, form: FormData) -> list[Any]:
    if isinstance(field, ListField):  # each of them has a name of its own
        return [value for name, value in form.multi_items() if name.startswith(f"{field.id}.")]
    return form.getlist(field.id)


def _digest(field: BaseField, texts: list[str]) -> str:
    is_in_order = isinstance(field, TagsField | RelationField | ListField)
    told = ["on"] if isinstance(field, BooleanField) and texts else [_as_sent(field, text) for text in texts]
    kept = told if is_in_order else [text for text in told if text]
    return sha256(json.dumps(kept).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _as_sent(field: BaseField, text: str) -> str:
    """What a browser, with or without scripts, makes of a text."""
    if isinstance(field, TextAreaField):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    if isinstance(field, TagsField):
        return " ".join(text.split())
    if isinstance(field, TimeField):
        with suppress(ValueError):
            return time.fromisoformat(text).replace(microsecond=0, tzinfo=None).isoformat()
    elif isinstance(field, DateTimeField) and not isinstance(field, DateField):
        with suppress(ValueError):
            return datetime.fromisoformat(text).replace(microsecond=0, tzinfo=None).isoformat()
    line = text.replace("\r", "").replace("\n", "")
    return line if getattr(field, "input_type", "text") == "text" else line.strip()

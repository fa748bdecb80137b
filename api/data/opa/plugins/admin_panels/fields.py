"""Fields that starlette-admin does not have: of secrets, and of values that are only shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin.fields import BaseField, BooleanField, PasswordField, StringField, TextAreaField
from starlette_admin.types import RequestAction

from opa import mask_text

MASK = "••••••"
LONGEST_IN_LIST = 120
"""Characters of a text in a list."""


def is_secret_name(name: str) -> bool:
    """Whether a field of this name has a secret, as the platform tells by names: `password`, `api_token`."""
    return "probe-of-a-name" not in mask_text(f"{name}=probe-of-a-name")


@dataclass
class SecretField(PasswordField):
    """One whose value is never shown. What is left empty in a form stays as it is."""

    searchable: bool | None = False
    orderable: bool | None = False

    async def serialize_value(self, request: Request, value: Any) -> str:
        """Nothing of the value: for a form an empty text."""
        return "" if request.state.action.is_form() else MASK


@dataclass
class ShownField(StringField):
    """One whose value is shown as a text, and cannot be edited."""

    read_only: bool | None = True
    searchable: bool | None = False
    orderable: bool | None = False

    async def serialize_value(self, request: Request, value: Any) -> str:
        """The value as a text; of bytes their number."""
        if isinstance(value, bytes | bytearray | memoryview):
            return f"{len(value)} bytes"
        return shortened(str(value), request)


@dataclass
class LongTextField(TextAreaField):
    """A text of any length, of which a list shows the beginning."""

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The text."""
        return shortened(str(value), request)


@dataclass
class JsonField(TextAreaField):
    """What JSON can hold, as its text; nothing for null."""

    searchable: bool | None = False
    orderable: bool | None = False
    help_text: str | None = "JSON"

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """What the text stands for; None where it is no JSON, of which `unreadable` tells."""
        raw = form_data.get(self.id)
        try:
            return json.loads(raw) if isinstance(raw, str) and raw.strip() else None
        except (ValueError, RecursionError):
            return None

    async def serialize_value(self, request: Request, value: Any) -> str:
        """The text."""
        is_form = request.state.action.is_form()
        return shortened(json.dumps(value, ensure_ascii=False, indent=2 if is_form else None, default=str), request)


def shortened(text: str, request: Request) -> str:
    """The text, and in a list its beginning."""
    is_in_list = request.state.action in (RequestAction.LIST, RequestAction.RELATION_LOOKUP)
    return f"{text[:LONGEST_IN_LIST]}…" if is_in_list and len(text) > LONGEST_IN_LIST else text


def unreadable(field: BaseField, raw: object, value: object) -> str:
    """What is wrong with an entry that a field could not read, and takes for none; empty where it could.

    Args:
        field: of a form.
        raw: what was entered.
        value: what the field has made of it.
    """
    if isinstance(field, BooleanField) or value is not None or not isinstance(raw, str) or not raw.strip():
        return ""
    kind = type(field).__name__.removesuffix("Field")
    if kind == "Json" and raw.strip() == "null":
        return ""
    return {
        "Integer": "This is no whole number",
        "Float": "This is no number",
        "Decimal": "This is no number",
        "DateTime": "This is no date with a time",
        "Date": "This is no date",
        "Time": "This is no time",
        "Json": "This is no JSON",
    }.get(kind, "This cannot be read")

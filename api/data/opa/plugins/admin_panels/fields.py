"""Fields that starlette-admin does not have: of secrets, and of values that are only shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, cast

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin.fields import (
    BaseField,
    BooleanField,
    DateTimeField,
    EnumField,
    FloatField,
    PasswordField,
    StringField,
    TextAreaField,
)
from starlette_admin.types import RequestAction

from opa import mask_text

MASK = "••••••"
LONGEST_IN_LIST = 120
"""Characters of a text in a list."""


Kind = TypeVar("Kind", bound=BaseField)


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


@dataclass
class RealField(FloatField):
    """A number, also of a form that does not have it."""

    async def parse_form_data(self, request: Request, form_data: FormData) -> float | None:
        """The number; None where there is none."""
        return await super().parse_form_data(request, form_data) if isinstance(form_data.get(self.id), str) else None


@dataclass
class ZonedField(DateTimeField):
    """A moment with its zone, shown and entered in UTC: a form knows no zones."""

    help_text: str | None = "UTC"

    async def parse_form_data(self, request: Request, form_data: FormData) -> datetime | None:
        """The moment, in UTC: not each database keeps the zone in which it was entered."""
        entered = await super().parse_form_data(request, form_data)
        if entered is None or entered.tzinfo is None:
            return entered and entered.replace(tzinfo=UTC)
        try:
            return entered.astimezone(UTC)
        except OverflowError:
            return None

    async def serialize_value(self, request: Request, value: Any) -> str:
        """The moment as a text."""
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        text = await super().serialize_value(request, value)
        return text if request.state.action.is_form() else f"{text} UTC"


@dataclass
class OneOfField(EnumField):
    """One of several values. A row may have another one, of a choice that there was before.

    That is shown, marked, and a form has it too: otherwise a browser would choose one in its place.
    """

    def __post_init__(self) -> None:
        """Have the choices of a form with that of its row."""
        super().__post_init__()
        self.choices_loader = self._offered

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The value, or what it is called."""
        shown = value.value if isinstance(value, Enum) else value
        if any(shown == known for known, _ in self._own()):
            return await super().serialize_value(request, shown)
        text = str(shown)
        if not request.state.action.is_form():
            return f"{shortened(text, request)} {FORMER}"
        former_choices(request)[self.name] = text
        return text

    def _own(self) -> list[tuple[Any, str]]:
        return cast("list[tuple[Any, str]]", self.choices)

    def _offered(self, request: Request) -> list[tuple[Any, str]]:
        former = former_choices(request).get(self.name)
        return self._own() if former is None else [(former, f"{former} {FORMER}"), *self._own()]


FORMER = "(no choice any more)"
"""Behind a value that is none of those that can be chosen."""


def former_choices(request: Request) -> dict[str, str]:
    """The values that the row of a request has and nobody can choose, by the names of their fields."""
    found: dict[str, str] = getattr(request.state, "opa_former", {})
    request.state.opa_former = found
    return found


@dataclass
class ChoiceField(OneOfField):
    """One of several values, each by the text that a database has for it."""

    members: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the choices."""
        self.choices = [(text, text.replace("_", " ")) for text in self.members]
        self.coerce = lambda text: self.members.get(text, text)
        super().__post_init__()

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The text of a value, or what it is called."""
        return await super().serialize_value(request, self._text_of(value))

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """See that it is one of them.

        Raises:
            ValueError: it is not.
        """
        if value is not None and value not in self.members.values():
            raise ValueError("This value is none of those that can be")
        await super().validate(request, value, form_values)

    async def get_create_default(self, request: Request) -> Any:
        """The text of the default."""
        value = await super(EnumField, self).get_create_default(request)
        return None if value is None else self._text_of(value)

    def _text_of(self, value: Any) -> Any:
        return next((text for text, each in self.members.items() if each == value), value)


def made_of(kind: type[Kind], other: BaseField, **given: Any) -> Kind:
    """A field of a kind, with what is said of another of the same name."""
    taken: dict[str, Any] = {name: getattr(other, name) for name in ("name", "label", "required", "default")}
    if other.help_text:
        taken["help_text"] = other.help_text
    return kind(**taken, **given)


def shortened(text: str, request: Request) -> str:
    """The text, and in a list its beginning."""
    is_in_list = request.state.action in (RequestAction.LIST, RequestAction.RELATION_LOOKUP)
    return f"{text[:LONGEST_IN_LIST]}…" if is_in_list and len(text) > LONGEST_IN_LIST else text


def encodable(text: str) -> str:
    """The text, with an escape for half of a surrogate pair, which JSON can have and no page."""
    return text.encode("utf-8", "backslashreplace").decode()


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
        "Real": "This is no number",
        "Decimal": "This is no number",
        "DateTime": "This is no date with a time",
        "Zoned": "This is no date with a time",
        "Date": "This is no date",
        "Time": "This is no time",
        "Json": "This is no JSON",
    }.get(kind, "This cannot be read")

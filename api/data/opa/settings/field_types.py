"""The types that settings have: what is accepted as one, and what becomes of it."""

# Without `annotations` of `__future__`, as each module with models of settings: Pydantic would compile each of some
# 200, a hundredth of a start.

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from opa._util.scopes import is_scope
from opa._util.suggestions import nearest
from opa.settings.quoting import QuotingError

_ENTRY_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"  # not compiled here: most starts have no entry with a name

_CENTURY = 3_153_600_000
"""Seconds."""


def split_list(value: Any) -> Any:
    """A string as the list that it stands for, split at commas; a list without space around its items."""
    if isinstance(value, str):
        return [item for part in value.split(",") if (item := part.strip())]
    if isinstance(value, list):
        return [item.strip() if isinstance(item, str) else item for item in value]
    return value


def without_doubles(values: list[Any]) -> list[Any]:
    """`values` with each item once; the first stays."""
    unique: list[Any] = []
    for value in values:
        if not any(type(value) is type(seen) and value == seen for seen in unique):
            unique.append(value)
    return unique


def lower(value: Any) -> Any:
    """A text in lower case, without space around it."""
    return value.strip().lower() if isinstance(value, str) else value


def none_or(value: Any) -> Any:
    """None of what people write for it: a variable cannot hold null."""
    return None if lower(value) in ("", "null", "none") else value


def no_switch(value: Any) -> Any:
    """A number.

    Raises:
        ValueError: it is true or false, which Pydantic would take for 1 or 0.
    """
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def utf8(value: str | None) -> str | None:
    """A text that can be written.

    Raises:
        ValueError: it has half a character: in a file as an escape, or in a variable as bytes of another encoding.
    """
    try:
        if value is not None:
            value.encode()
    except UnicodeEncodeError:
        raise ValueError("should be text in UTF-8") from None
    return value


def _at_most_a_century(seconds: float) -> float:
    # What waits takes little more, neither locks of Python nor event loops, and what expires in redis neither.
    if seconds > _CENTURY:
        raise ValueError(f"should be {_CENTURY} or less, which is a century")
    return seconds


def entry_name(value: str) -> str:
    """The name of an entry, such as an API key: it stands in lines of the log, and in dotted names of settings.

    Raises:
        ValueError: it can be none.
    """
    if re.fullmatch(_ENTRY_NAME, value) is None:
        raise ValueError("should be a name of 1 to 64 letters, digits, - and _, with a letter or a digit first")
    return value


def scope(value: str) -> str:
    """A scope.

    Raises:
        ValueError: it can be none.
    """
    if not is_scope(value):
        raise ValueError("should be a scope such as shop:write: printable ASCII without spaces, quotes and backslashes")
    return value


def _yes_no(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = lower(value)
    return {"true": "yes", "false": "no"}.get(value, value) if isinstance(value, str) else value


def _none_or_off(value: Any) -> Any:
    return None if none_or(lower(value)) in (None, False, "false", "no") else value


def _starts_with_slash(value: str | None) -> str | None:
    if value is not None and not value.startswith("/"):
        raise ValueError('should be a path that starts with "/", or null to turn it off')
    return value


def _prefix(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError('should be empty or a path that starts with "/"')
    return value.rstrip("/")


def _header_value(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise ValueError("should be the value of a header, one line of ASCII, or null to leave the header out")
    return value


def _time_zone(value: str) -> str:
    if value.upper() == "UTC":
        return "UTC"  # as Celery looks it up
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        near = nearest(value, available_timezones()) or "Europe/Oslo"
        general = "should be a time zone such as Europe/Oslo"
        raise QuotingError(f"should be a time zone such as {near}", general=general) from None
    return value


TextList = Annotated[list[str], BeforeValidator(split_list), AfterValidator(without_doubles)]
Text = Annotated[str, Field(min_length=1)]
Utf8 = Annotated[str, AfterValidator(utf8)]
EntryName = Annotated[str, AfterValidator(entry_name)]
Scopes = Annotated[list[Annotated[str, AfterValidator(scope)]], BeforeValidator(split_list)]
TimeZone = Annotated[Text, AfterValidator(_time_zone)]

UrlPath = Annotated[str | None, BeforeValidator(_none_or_off), AfterValidator(_starts_with_slash)]
UrlPrefix = Annotated[str, AfterValidator(_prefix)]
HeaderOrNone = Annotated[str | None, BeforeValidator(_none_or_off), AfterValidator(_header_value)]

Seconds = Annotated[
    float, BeforeValidator(no_switch), Field(gt=0, allow_inf_nan=False), AfterValidator(_at_most_a_century)
]
SecondsOrNone = Annotated[Seconds | None, BeforeValidator(none_or)]
Count = Annotated[int, BeforeValidator(no_switch), Field(ge=1)]
CountOrNone = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_or), BeforeValidator(no_switch)]
Port = Annotated[int, BeforeValidator(no_switch), Field(ge=0, le=65535)]
PortOrNone = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(none_or), BeforeValidator(no_switch)
]

YesNoAuto = Annotated[Literal["auto", "yes", "no"], BeforeValidator(_yes_no)]
FailSkip = Annotated[Literal["fail", "skip"], BeforeValidator(lower)]
ClaimValue = Annotated[bool | int | str, Field(union_mode="smart")]


class UpperKeys(BaseModel):
    """A mapping with fixed keys, in any case."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_in_any_case(cls, value: Any) -> Any:
        return {str(key).upper(): item for key, item in value.items()} if isinstance(value, Mapping) else value

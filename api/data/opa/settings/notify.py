"""Checks what the setting NOTIFY says of a target."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opa._util.patterns import lazy_pattern
from opa.settings.field_types import Count, PortOrNone, Seconds, TextList, UpperKeys, lower, none_or, split_list

KINDS = ("failed", "dead", "missed")
_ADDRESS = lazy_pattern(r"(?:[^<>@\r\n]*<)?[^\s<>@,;]+@[^\s<>@,;]+>?")


def webhook_url(value: str | None) -> str | None:
    """The URL that a message is posted to.

    Raises:
        ValueError: it is none; the message does not have it.
    """
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_url = False
    if not is_url or any(letter.isspace() or not letter.isprintable() for letter in value):
        raise ValueError("should be a URL with https:// or http://")
    return value


def address(value: str) -> str:
    """An address of e-mail, with a name before it or without.

    Raises:
        ValueError: it is none.
    """
    if _ADDRESS.fullmatch(value) is None or not value.isprintable():
        raise ValueError('should be an address such as ops@example.org or "Ops <ops@example.org>"')
    return value


def check_target(fields: Mapping[str, Any]) -> None:
    """See that a target has what its TYPE needs, and nothing else.

    Raises:
        ValueError: it does not.
    """
    is_mail = fields["TYPE"] == "mail"
    needed = ("HOST", "FROM", "TO") if is_mail else ("URL",)
    if missing := [name for name in needed if not fields[name]]:
        raise ValueError(f"should have {' and '.join(missing)}, which TYPE {fields['TYPE']} needs")
    others = ("URL",) if is_mail else ("HOST", "PORT", "USER", "PASSWORD", "FROM", "TO")
    if unfit := [name for name in others if fields[name]]:
        raise ValueError(f"should not have {' and '.join(unfit)}, which TYPE {fields['TYPE']} does not use")
    if is_mail and bool(fields["USER"]) != bool(fields["PASSWORD"]):
        raise ValueError("should have both USER and PASSWORD, or neither")
    if is_mail and fields["USER"] and fields["TLS"] == "none":
        raise ValueError("should have TLS starttls or tls: without it everyone on the way reads the password")


class NotifyTarget(UpperKeys):
    """One of NOTIFY."""

    TYPE: Annotated[Literal["slack", "teams", "json", "mail"], BeforeValidator(lower)]
    EVENTS: Annotated[
        list[Annotated[Literal["failed", "dead", "missed"], BeforeValidator(lower)]], BeforeValidator(split_list)
    ] = ["failed", "dead", "missed"]
    TASKS: TextList = ["*"]
    PLUGINS: TextList = ["*"]
    WINDOW: Annotated[Seconds, Field(le=86400)] = 30
    LIMIT: Count = 20
    CONSOLE: Annotated[str | None, BeforeValidator(none_or), AfterValidator(webhook_url)] = None
    URL: Annotated[str | None, BeforeValidator(none_or), AfterValidator(webhook_url)] = None
    HOST: str = ""
    PORT: PortOrNone = None
    TLS: Annotated[Literal["starttls", "tls", "none"], BeforeValidator(lower)] = "starttls"
    USER: str = ""
    PASSWORD: str = ""
    FROM: Annotated[str, AfterValidator(lambda value: address(value) if value else value)] = ""
    TO: Annotated[list[Annotated[str, AfterValidator(address)]], BeforeValidator(split_list)] = []

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        check_target({name: getattr(self, name) for name in type(self).model_fields})
        return self

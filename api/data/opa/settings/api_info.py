"""Checks what the settings PROJECT_… say of the API, for its documentation."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer, model_validator
from pydantic_core import Url, ValidationError

from opa.settings.field_types import UpperKeys, Utf8, none_or
from opa.settings.notify import address, webhook_url


def public_url(value: str | None) -> str | None:
    """A URL that stands in the documentation, where everybody may read it.

    Raises:
        ValueError: it is none, also for FastAPI, which would make no document, or has a user or a password; the
            message does not have it.
    """
    if value is None or webhook_url(value) is None:
        return None
    if "@" in urlsplit(value).netloc:
        raise ValueError("should have no user and no password: it stands in the documentation of the API")
    try:
        Url(value)
    except ValidationError:
        raise ValueError("should be a URL with the name of a host, such as https://example.org/terms") from None
    return value


def bare_address(value: str) -> str:
    """An address of e-mail without a name before it, as OpenAPI has it; it may be empty.

    Raises:
        ValueError: it is none.
    """
    if value and "<" in address(value):
        raise ValueError("should be an address alone, such as api@example.org; the name belongs into NAME")
    return value


WebUrl = Annotated[str | None, BeforeValidator(none_or), AfterValidator(public_url)]


class _OnlyGiven(UpperKeys):
    """What is not given is not there."""

    @model_serializer
    def _given(self) -> dict[str, str]:
        return {name: value for name, value in self if value}


class ApiContact(_OnlyGiven):
    """PROJECT_CONTACT."""

    NAME: Utf8 = ""
    URL: WebUrl = None
    EMAIL: Annotated[str, AfterValidator(bare_address)] = ""


class ApiLicense(_OnlyGiven):
    """PROJECT_LICENSE. OpenAPI wants a name, and one of the other two at most."""

    NAME: Utf8 = ""
    IDENTIFIER: Utf8 = ""
    URL: WebUrl = None

    @model_validator(mode="after")
    def _as_openapi_has_it(self) -> Self:
        if self.IDENTIFIER and self.URL:
            raise ValueError("should have IDENTIFIER or URL, and not both")
        if not self.NAME and (self.IDENTIFIER or self.URL):
            raise ValueError("should have NAME, such as Apache 2.0")
        return self


class ApiTag(_OnlyGiven):
    """One of PROJECT_TAGS."""

    NAME: Annotated[Utf8, Field(min_length=1)]
    DESCRIPTION: Utf8 = ""
    URL: WebUrl = None


def each_tag_once(tags: list[ApiTag]) -> list[ApiTag]:
    """Tags.

    Raises:
        ValueError: a name is there twice.
    """
    if len({tag.NAME for tag in tags}) < len(tags):
        raise ValueError("should have each NAME once")
    return tags

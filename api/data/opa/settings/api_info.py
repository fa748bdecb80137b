"""Checks what the settings PROJECT_… say of the API, for its documentation."""

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, model_serializer, model_validator

from opa.settings.field_types import Text, UpperKeys, none_or
from opa.settings.notify import address, webhook_url

WebUrl = Annotated[str | None, BeforeValidator(none_or), AfterValidator(webhook_url)]


class _OnlyGiven(UpperKeys):
    """What is not given is not there."""

    @model_serializer
    def _given(self) -> dict[str, str]:
        return {name: value for name, value in self if value}


class ApiContact(_OnlyGiven):
    """PROJECT_CONTACT."""

    NAME: str = ""
    URL: WebUrl = None
    EMAIL: Annotated[str, AfterValidator(lambda value: value and address(value))] = ""


class ApiLicense(_OnlyGiven):
    """PROJECT_LICENSE. OpenAPI wants a name, and one of the other two at most."""

    NAME: str = ""
    IDENTIFIER: str = ""
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

    NAME: Text
    DESCRIPTION: str = ""
    URL: WebUrl = None


def each_tag_once(tags: list[ApiTag]) -> list[ApiTag]:
    """Tags.

    Raises:
        ValueError: a name is there twice.
    """
    if len({tag.NAME for tag in tags}) < len(tags):
        raise ValueError("should have each NAME once")
    return tags

"""What the setting RATE_LIMITS may hold: how often callers may ask, for each path or plugin."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator, model_validator

from opa.settings.access import problem_of_path
from opa.settings.field_types import UpperKeys, lower
from opa.settings.quoting import quotable

UNLIMITED = "unlimited"
"""No limit at all, for what a wider entry would limit."""


class RateLimitRule(UpperKeys):
    """One of RATE_LIMITS."""

    LIMIT: str
    BY: Annotated[Literal["actor", "address", "plugin"], BeforeValidator(lower)] = "actor"

    @model_validator(mode="before")
    @classmethod
    def _limit_alone(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"LIMIT": value}

    @field_validator("LIMIT", mode="before")
    @classmethod
    def _is_rate(cls, value: Any) -> Any:
        from opa._util.rates import rates_in  # no start pays for it where there is no such entry

        if lower(value) != UNLIMITED:
            rates_in(value)
        return value


def limited_places(value: dict[str, RateLimitRule]) -> dict[str, RateLimitRule]:
    """The rules, each of a plugin or of a path that there may be.

    Raises:
        ValueError: there cannot be one of the paths.
    """
    for key in value:
        if problem := problem_of_path(key):
            raise ValueError(quotable(f'should not have "{key}": {problem}'))
    return value

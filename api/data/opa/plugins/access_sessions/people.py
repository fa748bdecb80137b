"""A person who has signed in, in whatever way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from opa import Actor


@dataclass(frozen=True, slots=True)
class Kept:
    """What a session keeps of a person who is not in the settings.

    Attributes:
        provider: of OIDC_PROVIDERS, that knows the person.
        scopes: what the person may do.
        claims: what the provider has said of the person.
    """

    provider: str
    scopes: frozenset[str]
    claims: Mapping[str, str]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """What stands in redis.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        claims = {str(name): str(value) for name, value in dict(record["CLAIMS"]).items()}
        if "sub" not in claims:
            raise KeyError("sub")
        return cls(str(record["PROVIDER"]), frozenset(map(str, record["SCOPES"])), claims)

    @property
    def record(self) -> dict[str, Any]:
        """What is to stand there."""
        return {"PROVIDER": self.provider, "SCOPES": sorted(self.scopes), "CLAIMS": dict(self.claims)}


@dataclass(frozen=True, slots=True)
class Person:
    """Who.

    Attributes:
        key: whose sessions they are, for redis.
        actor: as whom the person sends requests.
        shown: the name on the page.
        version: of what lets the person sign in; a session ends where it becomes another.
        kept: what a session keeps of the person; None of one of the settings.
    """

    key: str
    actor: Actor
    shown: str
    version: str
    kept: Kept | None = None

"""The providers in the setting OIDC_PROVIDERS, and whom they know."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from opa import Actor, RefusedCredentialError
from opa.plugins.access_sessions.oidc.rules import scopes_by, verified_email
from opa.plugins.access_sessions.people import Kept, Person

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Provider:
    """One of them.

    Attributes:
        name: in the settings.
        settings: its keys in upper case, with all defaults.
        version: another one after each change of who may sign in.
    """

    name: str
    settings: Mapping[str, Any]
    version: str

    @classmethod
    def from_setting(cls, name: str, settings: Mapping[str, Any]) -> Self:
        """The provider of an entry; nothing is fetched yet."""
        said = [settings["ISSUER"], settings["CLIENT_ID"], settings["ALLOW"]]
        return cls(name, settings, sha256(json.dumps(said, sort_keys=True).encode()).hexdigest())

    @property
    def issuer(self) -> str:
        """Its URL."""
        return str(self.settings["ISSUER"])

    @property
    def label(self) -> str:
        """What people know it by."""
        return self.settings["LABEL"] or self.name

    @property
    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Who may sign in."""
        rules: Sequence[Mapping[str, Any]] = self.settings["ALLOW"]
        return rules

    def person(self, claims: Mapping[str, Any]) -> Person:
        """The person of a verified token.

        Raises:
            NotAllowedError: who it is, is known, and may not sign in.
        """
        scopes = scopes_by(self.rules, claims)
        email = verified_email(claims)
        if scopes is None:
            who = f"{claims['sub']!r}, {email or 'without a verified mail address'}"
            raise NotAllowedError(f"no rule in ALLOW of the provider {self.name} fits {who}", is_guess=False)
        kept = {"provider": self.name, "iss": self.issuer, "sub": claims["sub"]}
        name = claims.get("name")
        if email:
            kept["email"] = email
        if isinstance(name, str) and name.isprintable() and name.strip():
            kept["name"] = name[:LONGEST_NAME]
        return self.person_of(Kept(self.name, scopes, kept))

    def person_of(self, kept: Kept) -> Person:
        """The person of a session."""
        claims = kept.claims
        actor = Actor(f"{self.issuer}|{claims['sub']}", "session", kept.scopes, claims)
        shown = claims.get("email") or claims.get("name") or claims["sub"]
        return Person(actor.id, actor, shown, self.version, kept)


class NotAllowedError(RefusedCredentialError):
    """A person has signed in with the provider, and may not be here."""


def providers_in(setting: Mapping[str, Mapping[str, Any]]) -> dict[str, Provider]:
    """All of them by name."""
    return {name: Provider.from_setting(name, given) for name, given in setting.items()}

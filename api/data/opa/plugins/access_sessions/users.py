"""The people of the setting USERS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from opa import Actor
from opa.plugins.access_sessions.people import Person


@dataclass(frozen=True, slots=True)
class User:
    """One of them.

    Attributes:
        name: by which the person signs in.
        password: its hash.
        scopes: what the person may do.
        version: another one after each change of the entry in the settings.
    """

    name: str
    password: str
    scopes: frozenset[str]
    version: str

    @classmethod
    def from_setting(cls, name: str, setting: Mapping[str, Any]) -> Self:
        """The user of an entry."""
        password, scopes = setting["PASSWORD"], frozenset(setting["SCOPES"])
        version = sha256(json.dumps([name, password, sorted(scopes)]).encode()).hexdigest()
        return cls(name, password, scopes, version)

    @property
    def person(self) -> Person:
        """As a person who has signed in."""
        actor = Actor(f"user:{self.name}", "session", self.scopes, {"user": self.name})
        return Person(self.name, actor, self.name, self.version)


def users_in(setting: Mapping[str, Mapping[str, Any]]) -> dict[str, User]:
    """All of them by name."""
    return {name: User.from_setting(name, given) for name, given in setting.items()}

"""What is kept of an API key, in redis and in the settings: everything but its secret."""

from __future__ import annotations

import hmac
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

NEVER = "never"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key.

    Attributes:
        id: the part of the key that names it.
        name: what its owner calls it.
        scopes: what it may do.
        created: when its secret was made.
        expires: when it ends; None where it does not.
        hash: of the whole key.
        former_hash: of the key before it was rotated; empty where it was not.
        former_until: when that one ends.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None
    hash: str
    former_hash: str = ""
    former_until: datetime | None = None

    def end_of(self, given: str) -> float | None:
        """When the key whose hash is `given` ends, in seconds since 1970; None where it is another one.

        It takes the same time for each. Hashes are compared, of which nobody can choose the beginning, so to stop at
        the first difference would tell nothing; but it costs as little not to.
        """
        is_current = hmac.compare_digest(self.hash, given)
        is_former = hmac.compare_digest(self.former_hash or _NO_HASH, given)
        if is_current:
            return _seconds(self.expires)
        return _seconds(self.former_until) if is_former else None

    def as_mapping(self) -> dict[str, Any]:
        """What stands in redis, as JSON, and below the name of the key in ACCESS_KEYS."""
        given: dict[str, Any] = {
            "ID": self.id,
            "HASH": self.hash,
            "SCOPES": list(self.scopes),
            "CREATED": as_text(self.created),
            "EXPIRES": NEVER if self.expires is None else as_text(self.expires),
        }
        if self.former_hash and self.former_until is not None:
            given |= {"FORMER_HASH": self.former_hash, "FORMER_UNTIL": as_text(self.former_until)}
        return given

    @classmethod
    def from_mapping(cls, name: str, given: Mapping[str, Any]) -> KeyRecord:
        """The key that `as_mapping` was made of.

        Raises:
            ValueError, TypeError, KeyError: it was not made by that.
        """
        former_until = given.get("FORMER_UNTIL")
        return cls(
            id=str(given["ID"]),
            name=name,
            scopes=tuple(map(str, given["SCOPES"])),
            created=_moment(given["CREATED"]),
            expires=None if given["EXPIRES"] == NEVER else _moment(given["EXPIRES"]),
            hash=str(given["HASH"]),
            former_hash=str(given.get("FORMER_HASH") or ""),
            former_until=_moment(former_until) if former_until else None,
        )


def records_in(setting: Mapping[str, Mapping[str, Any]]) -> list[KeyRecord]:
    """The keys of ACCESS_KEYS."""
    return [KeyRecord.from_mapping(name, given) for name, given in setting.items()]


def hash_of(token: str) -> str:
    """What is kept of a key in its place.

    A fast hash is right here: the secret is 256 random bits, of which no computer can try a part worth naming, however
    fast it hashes. The slow hashes are for passwords, which people choose; one of them would make each request slow.
    """
    return f"sha256:{sha256(token.encode()).hexdigest()}"


def as_text(moment: datetime) -> str:
    """A moment as it is kept and shown, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _seconds(moment: datetime | None) -> float:
    return math.inf if moment is None else moment.timestamp()


def _random_hash() -> str:
    return f"sha256:{os.urandom(32).hex()}"


_NO_HASH = _random_hash()
"""Compared where there is none: nobody has a key with it."""
NOBODY = KeyRecord("", "", (), datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC), _random_hash())
"""Looked at where there is no key of an id, so that this takes no less time."""

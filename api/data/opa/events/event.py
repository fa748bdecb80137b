"""What has happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from opa.errors import OpaError
from opa.events.names import is_name

_OF_KEYS = UUID("6d2f6a52-1f0c-4e0b-9d6c-0a2b5f0f4c11")
"""The namespace of ids that are made of a key."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a plugin has emitted.

    Attributes:
        id: a UUID, the same for each handler and each delivery.
        name: such as `orders.created`.
        emitted_at: when, in UTC.
        payload: JSON.
    """

    id: str
    name: str
    emitted_at: datetime
    payload: Any = None

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Event:
        """As `message` has written it.

        Raises:
            OpaError: it is not what `message` writes; anybody who can send to the broker may have made it.
        """
        try:
            id_, name, payload = str(UUID(message["id"])), message["name"], message["payload"]
            emitted_at = datetime.fromisoformat(message["emitted_at"])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _no_event(f"{type(error).__name__}: {error}") from error
        if not is_name(name):
            raise _no_event("its name is none of an event")
        return cls(id_, name, emitted_at, payload)

    def message(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "emitted_at": self.emitted_at.isoformat(),
            "payload": self.payload,
        }


def id_of_event(name: str, idempotency_key: str | None) -> str:
    """A new one, or that which all events of this name with the key have.

    Raises:
        OpaError: the key is empty, or no text.
    """
    if idempotency_key is None:
        return str(uuid4())
    if not isinstance(idempotency_key, str) or not idempotency_key:
        raise OpaError(
            f"emit({name!r}): the idempotency_key is not a text, or is empty",
            hint="Give it an id of the sender, or none",
        )
    return str(uuid5(_OF_KEYS, json.dumps([name, idempotency_key])))


def has_key(event_id: str) -> bool:
    """Whether the id is made of a key."""
    return UUID(event_id).version == uuid5(_OF_KEYS, "").version


def _no_event(why: str) -> OpaError:
    return OpaError(f"the message is no event: {why}", hint="Events are sent by emit and emit_sync")

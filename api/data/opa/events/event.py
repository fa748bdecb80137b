"""What has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from opa.errors import OpaError
from opa.events.names import is_name


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


def _no_event(why: str) -> OpaError:
    return OpaError(f"the message is no event: {why}", hint="Events are sent by emit and emit_sync")

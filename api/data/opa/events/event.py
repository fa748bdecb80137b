"""What has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
        """As `message` has written it."""
        return cls(message["id"], message["name"], datetime.fromisoformat(message["emitted_at"]), message["payload"])

    def message(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "emitted_at": self.emitted_at.isoformat(),
            "payload": self.payload,
        }

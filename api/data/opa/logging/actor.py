"""Who the current request is of: the id stands in each line of the log that is written once it is known."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Identified(Protocol):
    """An actor, as far as the log needs it; see `opa.access.actor`."""

    @property
    def id(self) -> str:
        """Its id."""


current_actor: ContextVar[Identified | None] = ContextVar("opa_actor", default=None)

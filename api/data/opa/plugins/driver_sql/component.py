"""What the parts of the drivers ask of the driver of a component."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from opa import Breaker


class Component(Protocol):
    """One of the two drivers."""

    component: str

    @property
    def is_async(self) -> bool:
        """Whether its sessions are."""

    @property
    def project(self) -> str:
        """That of the settings."""

    @property
    def opts(self) -> Mapping[str, Any]:
        """Its options."""

    @property
    def breaker(self) -> Breaker:
        """That of the component."""

    @property
    def tell_wait(self) -> Any:
        """None where nobody wants to know of waits."""

    def waiting(self) -> AbstractContextManager[None]:
        """A context for a call that waits for a free connection."""

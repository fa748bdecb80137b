"""A stand-in for the client of a service: it knows its URL, and asks nobody."""

from __future__ import annotations

from typing import Self


class ServiceClient:
    """Knows what things cost.

    Args:
        url: of the service.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_open = True

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect to it."""
        return cls(url)

    async def price_of(self, item: str) -> int:
        """In cents."""
        return 25 * len(item)

    async def close(self) -> None:
        """Ask no more."""
        self.is_open = False

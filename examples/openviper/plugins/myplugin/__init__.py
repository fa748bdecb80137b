"""A package as for OpenViper, whose files say what it has; only its imports are others."""

from __future__ import annotations

from myplugin.client import ServiceClient
from myplugin.routes import router as router  # what opa-stack looks for here

_client: ServiceClient | None = None


async def ready() -> None:
    """Connect to the service, before the first request of this process."""
    global _client  # noqa: PLW0603 - as there
    _client = await ServiceClient.connect(
        url="https://service.example.com",
    )

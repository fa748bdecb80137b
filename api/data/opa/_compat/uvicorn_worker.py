"""What is private in uvicorn's worker for gunicorn, and used here."""

from __future__ import annotations

from typing import Any

import uvicorn_worker

_UvicornWorker: Any = uvicorn_worker.UvicornWorker


class UvicornWorker(_UvicornWorker):  # type: ignore[misc]
    """A process of gunicorn's that serves with uvicorn."""

    async def _serve(self) -> None:
        await self.serve()

    async def serve(self) -> None:
        """Called in the event loop of the process: serve until it is told to stop."""
        await super()._serve()

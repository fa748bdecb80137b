"""The application without a server, for code that calls it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opa.core.manager import get_plugin_manager
from opa.errors import OpaError, StartError

if TYPE_CHECKING:
    from starlette.types import Message

    from opa.http.application import Api


@asynccontextmanager
async def started_application() -> AsyncIterator[Api]:
    """The application of the plugins, started as a server starts it, and stopped in the end.

    For commands that are made with `connects()`: it connects the components itself.

    Raises:
        OpaError: something of it does not start, or does not stop.
    """
    from opa.http.builder import build_app  # with all that builds an application, which who serves one has anyway

    app = build_app(get_plugin_manager())
    server = _Server(app)
    await server.start()
    try:
        yield app
    finally:
        await server.stop()


class _Server:
    """The server's side of the lifespan protocol of ASGI.

    The application starts and stops in one task of its own: what it enters, it has to leave there.
    """

    def __init__(self, app: Api) -> None:
        self._app = app
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application.

        Raises:
            OpaError: it does not start.
        """
        self._running = asyncio.create_task(self._serve())
        await self._exchange("lifespan.startup")

    async def stop(self) -> None:
        """Stop it.

        Raises:
            OpaError: something fails meanwhile.
        """
        await self._exchange("lifespan.shutdown")
        await self._ended()

    async def _serve(self) -> None:
        scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        await self._app(scope, self._messages.get, self._said.put)

    async def _exchange(self, event: str) -> None:
        """Tell the application something, and wait until it is done."""
        assert self._running is not None  # noqa: S101 - `start` has set it
        self._messages.put_nowait({"type": event})
        answer = asyncio.ensure_future(self._said.get())
        await asyncio.wait({self._running, answer}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"] == f"{event}.complete":
            return
        answer.cancel()
        await self._ended()
        text = answer.result().get("message", "") if answer.done() and not answer.cancelled() else ""
        raise StartError(f"the application does not go on: {text or event}")

    async def _ended(self) -> None:
        """Wait for the end of it; what it raises is said here, where that has words.

        Raises:
            OpaError: whatever has gone wrong.
        """
        assert self._running is not None  # noqa: S101 - as above
        try:
            await self._running
        except OpaError:
            raise
        except Exception as error:
            raise StartError(f"the application does not start: {type(error).__name__}: {error}") from error

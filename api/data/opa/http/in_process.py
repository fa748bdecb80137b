"""The application without a server, for code that calls it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from opa.core.manager import get_plugin_manager
from opa.errors import OpaError, StartError

if TYPE_CHECKING:
    from opa.http.application import Api

ASGI = {"version": "3.0", "spec_version": "2.0"}


@asynccontextmanager
async def started_application() -> AsyncIterator[Api]:
    """The application of the plugins, started as a server starts it, and stopped in the end.

    For commands that are made with `connects()`: it connects the components itself.

    Raises:
        OpaError: something of it does not start, or does not stop.
    """
    from opa.http.builder import build_app  # with all that builds an application, which who serves one has anyway

    app = build_app(get_plugin_manager())
    lifespan = Lifespan(app)
    with _in_words("start"):
        await lifespan.start()
    try:
        yield app
    finally:
        with _in_words("stop"):
            await lifespan.stop()


@contextmanager
def _in_words(step: str) -> Iterator[None]:
    try:
        yield
    except OpaError:
        raise
    except Exception as error:
        raise StartError(f"the application does not {step}: {type(error).__name__}: {error}") from error


class Lifespan:
    """The server's side of the lifespan protocol of ASGI.

    The application starts and stops in one task of its own: what it enters, it has to leave there.

    Attributes:
        state: what the application gives to its requests.
    """

    def __init__(self, app: Api) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application on the event loop that runs.

        Raises:
            Exception: what keeps it from starting.
        """
        loop = asyncio.get_running_loop()
        started: asyncio.Future[None] = loop.create_future()
        self._stop = asyncio.Event()
        self._serving = loop.create_task(self._serve(started), name="opa-lifespan")
        await started

    async def stop(self) -> None:
        """Stop it, where it runs.

        Raises:
            Exception: what fails meanwhile.
        """
        serving, self._serving = self._serving, None
        if serving is not None:
            self._stop.set()
            await serving

    async def _serve(self, started: asyncio.Future[None]) -> None:
        is_asked = False

        async def receive() -> dict[str, str]:
            nonlocal is_asked
            if is_asked:
                await self._stop.wait()
                return {"type": "lifespan.shutdown"}
            is_asked = True
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete" and not started.done():
                started.set_result(None)

        try:
            await self._app({"type": "lifespan", "asgi": ASGI, "state": self.state}, receive, send)
        except BaseException as error:
            if started.done():
                raise
            if isinstance(error, Exception):
                started.set_exception(error)
            else:
                started.cancel()
                raise
        if not started.done():
            started.set_exception(RuntimeError("the application ended while it started"))

"""What answers while the application starts, as long as something says what it waits for.

Otherwise a process that starts listens, and does not accept: whoever connects waits. That is right for what takes
a moment, and not for what takes minutes: an orchestrator is to see that the process lives, and why it is not ready.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING

from opa.core.start_waits import start_waits, start_waits_told
from opa.logging.logger import log
from opa.process.health_target import note_health_target

if TYPE_CHECKING:
    import socket

    from opa.http.application import Api
    from opa.serve.operating import OperatingServer
    from opa.settings.load import Config

INTERVAL = 0.1
"""Seconds between two looks at whether another process has begun to serve: from then on that answers."""
NOTE_INTERVAL = 1.0
"""Seconds between two notes for the health check."""


@asynccontextmanager
async def answering_meanwhile(
    app: Api,
    sockets: Sequence[socket.socket],
    operating: OperatingServer | None,
    *,
    others_serve: Callable[[], bool],
) -> AsyncIterator[None]:
    """In the block the application starts: while something waits, the health routes are answered, and nothing else is.

    Where other processes serve on the same sockets, they answer; this one would refuse what they do not.

    Args:
        app: the application.
        sockets: those that it will serve on.
        operating: what serves the operating routes, where they have a port of their own; then only that answers.
        others_serve: whether another process serves, or has served, on the same sockets.
    """
    answers = _Answers(app, sockets, operating, others_serve)
    loop = asyncio.get_running_loop()

    def tell(_waits: str) -> None:
        loop.call_soon_threadsafe(answers.follow)

    with start_waits_told(tell):
        try:
            yield
        finally:
            await answers.end()


class _Answers:
    def __init__(
        self,
        app: Api,
        sockets: Sequence[socket.socket],
        operating: OperatingServer | None,
        others_serve: Callable[[], bool],
    ) -> None:
        self._app = app
        self._sockets = sockets
        self._operating = operating
        self._others_serve = others_serve
        self._answering: list[OperatingServer] = []
        self._left: list[OperatingServer] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._noted = ""
        self._noted_at = 0.0

    def follow(self) -> None:
        """Called on the loop as often as what the process waits for has changed."""
        self._changed.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def end(self) -> None:
        """Leave it to the application, or to nobody where that does not start."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._leave()
        for server in self._left:
            server.close()
        if self._operating is not None:
            self._operating.tell_start(None)
        note_health_target(self._config)

    @property
    def _config(self) -> Config:
        return self._app.manager.config

    async def _follow(self) -> None:
        while True:
            self._changed.clear()
            waits = start_waits()
            try:
                await self._answer(waits)
            except Exception as error:  # noqa: BLE001 - the start goes on without it
                log.opt(exception=error).error(f"what the start waits for is not shown: {error}")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._changed.wait()

    async def _answer(self, waits: str) -> None:
        """Answer from the first time that something waits: on the port of the api only while it does."""
        others_serve = self._others_serve()
        self._note("" if others_serve else waits)
        if self._operating is not None:
            self._operating.tell_start(waits)
            if others_serve:
                self._operating.pause()
            else:
                await self._operating.start()
            await self._operating.look_after(_headers())
            return
        if others_serve or not waits:
            self._leave()
        elif not self._answering:
            from opa.serve.operating import OperatingServer

            self._answering = [
                OperatingServer(self._config, self._app.health_routes, listener.dup(), stands_in=True)
                for listener in self._sockets
            ]
        for server in (*self._answering, *self._left):
            server.tell_start(waits)
            if server in self._answering:
                await server.start()
            await server.look_after(_headers())

    def _note(self, waits: str) -> None:
        now = time.monotonic()
        if waits != self._noted or now >= self._noted_at + NOTE_INTERVAL:
            note_health_target(self._config, waits=waits)
            self._noted, self._noted_at = waits, now

    def _leave(self) -> None:
        """Accept no more on the port of the api; who is connected is answered."""
        for server in self._answering:
            server.pause()
        self._left += self._answering
        self._answering = []


def _headers() -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(usegmt=True).encode())]

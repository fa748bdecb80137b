"""What the server is told of the start and the stop of an application: the lifespan protocol of ASGI."""

from __future__ import annotations

import traceback

from starlette.types import Message, Receive, Send

from opa.core.start_waits import note_step
from opa.errors import OpaError


class LifespanProtocol:
    """Stands between the server and the application inside: the plugins start before it, and stop after it.

    Args:
        startup: what the server has sent first; the application inside receives it.
        receive: of the server.
        send: to the server.
    """

    def __init__(self, startup: Message, receive: Receive, send: Send) -> None:
        self._startup: Message | None = startup
        self._receive = receive
        self._send = send
        self._is_started = False
        self._failure: Message | None = None
        self._last_word: Message | None = None

    async def receive(self) -> Message:
        """What the application inside receives."""
        if self._startup is not None:
            startup, self._startup = self._startup, None
            return startup
        return await self._receive()

    async def send(self, message: Message) -> None:
        """What the application inside says: of its start at once, of its stop when the plugins have stopped too."""
        if message["type"].startswith("lifespan.shutdown."):
            self._last_word = message
            return
        if message["type"] == "lifespan.startup.failed":
            self._failure = message  # a stack trace, in place of which the error itself may have words
            return
        self._is_started = message["type"] == "lifespan.startup.complete"
        note_step("")
        await self._send(message)

    async def fail(self, error: BaseException) -> None:
        """Tell the server that start or stop has failed: it would take silence for a mistake in the protocol."""
        if self._failure is None:
            phase = "shutdown" if self._is_started else "startup"
            await self._send({"type": f"lifespan.{phase}.failed", "message": _words_for(error)})
        else:
            await self._send({**self._failure, "message": _words_for(error)})

    async def end(self) -> None:
        """Tell the server what the application has said last."""
        if self._failure is not None:
            await self._send(self._failure)
        if self._last_word is not None:
            await self._send(self._last_word)


def _words_for(error: BaseException) -> str:
    """One line for a mistake that a user can fix, the stack trace for what is unexpected.

    That the process was told to stop while it was starting needs no words.
    """
    if isinstance(error, OpaError):
        return str(error)
    return "".join(traceback.format_exception(error)) if isinstance(error, Exception) else ""

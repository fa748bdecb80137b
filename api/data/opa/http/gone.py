"""Clients that go away: what an exception of Starlette's says about them is no error of anyone's.

A request of which the client is gone ends with `ClientDisconnect`, a websocket with `WebSocketDisconnect`, or with an
error of Starlette's about a connection that is closed. The plugin may handle them; where it does not, all that there is
to do is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

try:
    from starlette.websockets import WebSocketDisconnected as _ClosedError
except ImportError:  # before Starlette 1.0 it was a RuntimeError like any other

    class _ClosedError(RuntimeError):  # type: ignore[no-redef]
        """Nobody raises it."""


WATCHED = "opa.websocket"
"""Of the scope of a websocket, in which the `WatchedWebSocket` stands."""
NOT_ALLOWED = 1008


class ClientGoneError(OSError):
    """What an ASGI server's `send` raises when the client is gone (ASGI 2.4)."""


class WatchedWebSocket:
    """A websocket's `receive` and `send`, which know whether it is closed.

    To close one that the client has closed does nothing, and to send to one says that the client is gone, whatever the
    server does there: the two ends cannot know which of them was first.

    Attributes:
        is_closed: whether it is.
        recheck: says of each message whether it may pass; if not, the websocket is closed.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_answered = False
        self._is_gone = False
        self._held: Message | None = None
        self.is_closed = False
        self.recheck: Callable[[], Awaitable[bool]] | None = None

    async def receive(self) -> Message:
        """The next message; also where whoever waited for it has given up while `recheck` was asked."""
        message, self._held = self._held or await self._receive(), None
        if message["type"] == "websocket.disconnect":
            self._is_gone = self.is_closed = True
        elif self.recheck is not None and message["type"] == "websocket.receive":
            try:
                may_pass = await self.recheck()
            except BaseException:
                self._held = message
                raise
            if not may_pass:
                await self._end_not_allowed()
                return {"type": "websocket.disconnect", "code": NOT_ALLOWED}
        return message

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ClientGoneError: the client has gone.
        """
        is_close = message["type"] == "websocket.close"
        if self._is_gone:
            if is_close and self._is_answered:
                return
            raise ClientGoneError("the websocket is closed")
        if self.recheck is not None and message["type"] == "websocket.send" and not await self.recheck():
            await self._end_not_allowed()
            raise ClientGoneError("the websocket is closed")
        self.is_closed = self.is_closed or is_close  # at once: nobody else is to close it meanwhile
        try:
            await self._send(message)
        except OSError as error:
            self._is_gone = self.is_closed = True
            raise ClientGoneError("the websocket is closed") from error
        self._is_answered = True

    async def _end_not_allowed(self) -> None:
        is_first = not self.is_closed  # of the tasks that use it, several may be told at once
        self._is_gone = self.is_closed = True
        if not is_first:
            return
        with contextlib.suppress(OSError):  # the client was first
            await self._send({"type": "websocket.close", "code": NOT_ALLOWED, "reason": "not authenticated"})

    async def end(self) -> None:
        """Close it, unless that was done.

        Raises:
            OSError: the client has gone before it had an answer; the server knows that by this.
        """
        try:
            await self._send({"type": "websocket.close", "code": 1000})
        except RuntimeError:  # someone has
            return
        except OSError:
            if not self._is_answered:
                raise


def says_that_client_is_gone(error: BaseException, scope: Scope, websocket: WatchedWebSocket | None) -> bool:
    """Whether `error` says nothing else than that the client of this connection is gone.

    Args:
        error: what has ended the connection.
        scope: that of the connection.
        websocket: the connection, where it is a websocket.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(says_that_client_is_gone(inner, scope, websocket) for inner in error.exceptions)
    if scope["type"] == "http":
        return isinstance(error, ClientDisconnect)
    if isinstance(error, WebSocketDisconnect | ClientGoneError):
        return True
    return isinstance(error, _ClosedError) and websocket is not None and websocket.is_closed

"""Websockets as the api speaks them: uvicorn's, with a limit of what waits in a connection.

What is private to uvicorn and used here: attributes of its protocol. `tests/serve/test_protocol.py` holds that they
are there.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGIReceiveEvent
    from uvicorn.server import ServerState
    from websockets.frames import Frame
    from websockets.http11 import Request

    from opa.serve.server import ServerConfig

PART = 4096
"""Bytes that are taken in before the queue is looked at again."""
FRAGMENTS = 65_536
"""Parts of a message at most: empty ones take memory too, and count for nothing in its size."""
TOO_BIG = 1009
UNREAD_PONGS = 1_048_576
"""Bytes at most that wait for a client that sends pings and reads none of the answers."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A websocket. What arrives while the queue of messages is full stays as it is, and no more is read.

    Args:
        config: has the `connections` that it belongs to.
        server_state: uvicorn's.
        app_state: of the lifespan.
    """

    def __init__(self, config: ServerConfig, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self._shared = config.connections
        self._held = b""
        # For `look_after`: bytes that the client had not read when it was last looked at, since when.
        self._unsent = 0
        self.since = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        self._held = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:
            super().data_received(data)  # the whole head
            if not self.handshake_initiated:
                self._refuse_handshake()
        elif self._held:
            self._held += data
        elif len(data) <= PART and self.queue.empty():
            super().data_received(data)
        else:
            self._take(data)

    async def receive(self) -> ASGIReceiveEvent:
        """The next message; then take in what has been held back for it."""
        message = await super().receive()
        if self._held and self.queue.qsize() < self._shared.queue:
            held, self._held = self._held, b""
            self._take(held)
        return message

    def _take(self, data: bytes) -> None:
        for start in range(0, len(data), PART):
            if self.transport.is_closing():
                return
            if self.queue.qsize() >= self._shared.queue and not self.close_sent:
                self._held = data[start:]
                return
            super().data_received(data[start : start + PART])

    def handle_connect(self, event: Request) -> None:
        before = len(self.tasks)
        super().handle_connect(event)
        self._shared.websocket_tasks += len(self.tasks) - before

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        self._shared.websocket_tasks -= 1
        super().on_task_complete(task)

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > UNREAD_PONGS:
            refusals.note("the client of a websocket sent pings, and did not read the answers")
            self.transport.abort()

    def look_after(self, now: float) -> None:
        """End it, where its client reads nothing: to close it would wait for the client, as the route may do."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent = unsent
            self.since = now
        elif now - self.since > self._shared.idle_time:
            refusals.note("the client of a websocket did not read, see IDLE_TIMEOUT")
            self.transport.abort()

    def _refuse_handshake(self) -> None:
        """Answer and close: uvicorn does neither where the head is HTTP, and `websockets` does not take it."""
        refusals.note("the handshake of a websocket could not be read (400, 414 or 431)")
        # There is an answer where something was too long or too much.
        answer = b"".join(self.conn.data_to_send())
        if not answer:
            answer = self.conn.reject(HTTPStatus.BAD_REQUEST, "The handshake could not be read.\n").serialize()
        self.handshake_complete = self.close_sent = True
        self.transport.write(answer)
        self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > FRAGMENTS:
            self.frames = []
            self.conn.fail(TOO_BIG, "too many fragments")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is not None and self.conn.close_sent.code == TOO_BIG:
            refusals.note("a message of a websocket was larger than WEBSOCKET_MAX_MESSAGE_BYTES (1009)")
        super().handle_parser_exception()

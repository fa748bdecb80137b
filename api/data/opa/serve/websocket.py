"""Websockets as the api speaks them: uvicorn's, with a limit of what waits in a connection.

The attributes of uvicorn's protocol that are used here are documented nowhere; that they are there is held by
`tests/serve/test_protocol.py`.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from opa.logging.refusal_log import refusals
from opa.serve.left import Left
from opa.serve.unread import unread_bytes

if TYPE_CHECKING:
    from uvicorn.server import ServerState
    from websockets.frames import Frame
    from websockets.http11 import Request

    from opa._compat.uvicorn import Received, Sent
    from opa.serve.config import SharingConfig

CHUNK_SIZE = 1024
"""Bytes that are taken in before the queue is looked at again. 170 frames may be in them, which take milliseconds."""
MESSAGES_PER_TURN = 16
"""Messages that a route gets before all the others get on."""
MAX_EMPTY_FRAMES = 1000
"""Frames at most that bring a route nothing, between two looks: pings, pongs, and empty parts of a message."""
MAX_FRAGMENTS = 65_536
"""Parts of a message at most: empty ones take memory too, and count for nothing in its size."""
TOO_BIG = 1009
NOT_UTF8, AGAINST_THE_RULES = 1007, 1008
MAX_UNREAD_PONG_BYTES = 1_048_576
"""Bytes at most that wait for a client that sends pings and reads none of the answers."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A websocket. What arrives while the queue of messages is full stays as it is, and no more is read.

    Args:
        config: has the `connections` that it belongs to.
        server_state: uvicorn's.
        app_state: of the lifespan.
    """

    def __init__(self, config: SharingConfig, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self._shared = config.connections
        # What has arrived and is not taken in yet. Until it is, no more is read.
        self._held = memoryview(b"")
        self._is_waiting = False
        self._task: asyncio.Task[None] | None = None
        # For the access log: when the handshake came, and the status with which it is refused.
        self._began = 0.0
        self._refused_with: int | None = None
        # Since the route has last been interrupted, and since `look_after`.
        self._received = 0
        self._empty_frames = 0
        # Bytes of answers to pings, since the client has last read all that there was.
        self._pongs = 0
        # For `look_after`: bytes that the client had not read when it was last looked at, since when.
        self._unsent = 0
        self.since = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended: look after the route that still runs."""
        self._held = memoryview(b"")
        super().connection_lost(exc)
        if self._task is not None and not self._task.done():
            Left(self._shared, self._task, self.scope)

    def data_received(self, data: bytes) -> None:
        """Parse what has come: the handshake, or frames by turns with other connections."""
        if not self.handshake_initiated:
            super().data_received(data)  # the whole head
            if not self.handshake_initiated:
                self._refuse_handshake()
            return
        self._held = memoryview(bytes(self._held) + data if self._held else data)
        self.transport.pause_reading()
        self._wait_for_turn()

    async def receive(self) -> Received:
        """The next message; then take in what has been held back for it."""
        self._received += 1
        if self._received > MESSAGES_PER_TURN:
            self._received = 0
            await asyncio.sleep(0)  # before a message is taken, so that none is lost where this is cancelled
        message = await super().receive()
        if self._held:
            self.transport.pause_reading()  # it has been resumed where that was the last message
            self._wait_for_turn()
        return message

    async def send(self, message: Sent) -> None:
        """Send a message; when it has accepted or closed the websocket, what has been held back may be taken in."""
        if not self.handshake_complete:
            if message["type"] == "websocket.http.response.start":
                self._refused_with = message["status"]
            elif message["type"] == "websocket.close":
                self._refused_with = HTTPStatus.FORBIDDEN
        await super().send(message)
        if self.close_sent:
            self._log_refusal()
            # A handshake that is refused with an answer is complete too: uvicorn takes it for one that the application
            # forgot, and logs an error that any client could cause.
            self.handshake_complete = True
        if self._held:
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        if not self._is_waiting and self._may_take():
            self._is_waiting = True
            self._shared.turns.wait(self)

    def _may_take(self) -> bool:
        if not self._held or not self.handshake_complete:  # what comes before the answer to the handshake waits for it
            return False
        return self.queue.qsize() < self._shared.queue or self.close_sent

    def take_part(self) -> bool:
        """Take in some of what has arrived; whether there is more, and room for it."""
        part, self._held = self._held[:CHUNK_SIZE], self._held[CHUNK_SIZE:]
        if part and not self.transport.is_closing():
            super().data_received(bytes(part))
            if self._empty_frames > MAX_EMPTY_FRAMES and not self.transport.is_closing():
                self._refuse_flood()
        if self.transport.is_closing():
            self._held = memoryview(b"")
        elif not self._held and not self.read_paused:
            self.transport.resume_reading()
        self._is_waiting = self._may_take()
        return self._is_waiting

    def send_500_response(self) -> None:
        """Called where the route has neither accepted nor refused the handshake, or the server stops before that."""
        if not (self.initial_response or self.handshake_complete):
            self._refused_with = HTTPStatus.INTERNAL_SERVER_ERROR
        super().send_500_response()
        self._log_refusal()

    def _log_refusal(self) -> None:
        if self._refused_with is not None:
            status, self._refused_with = int(self._refused_with), None
            if self._shared.access_log is not None:
                self._shared.access_log.write_refused_handshake(self.scope, status, time.perf_counter() - self._began)

    def handle_connect(self, event: Request) -> None:
        """Start the route, and count it."""
        self._began = time.perf_counter()
        before = len(self.tasks)
        super().handle_connect(event)
        self._shared.websocket_tasks += len(self.tasks) - before

    async def run_asgi(self) -> None:
        """Run the route."""
        self._task = asyncio.current_task()
        await super().run_asgi()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The route has ended."""
        self._shared.websocket_tasks -= 1
        super().on_task_complete(task)

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read the answers."""
        self._empty_frames += 1
        before = self.transport.get_write_buffer_size()
        super().handle_ping()
        # A route may have large messages under way, which are none of a ping's doing.
        self._pongs = self._pongs + self.transport.get_write_buffer_size() - before if before else 0
        if self._pongs > MAX_UNREAD_PONG_BYTES:
            refusals.note("the client of a websocket sent pings, and did not read the answers")
            self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Take note of a pong."""
        self._empty_frames += 1
        super().handle_pong(event)

    def keepalive_timeout(self) -> None:
        """Called where the client has not answered a ping; that may lie with us, or with what it is yet to read."""
        if not (self.read_paused or self._held or self.transport.get_write_buffer_size()):
            super().keepalive_timeout()
            return
        # `look_after` ends one that reads nothing.
        self.pong_timer = self.pending_ping_payload = None
        if not self.transport.is_closing():
            self.schedule_ping()

    def shutdown(self) -> None:
        """Called when the server stops; there is nothing more to say where the connection is closing already."""
        if self.transport.is_closing():
            self.stop_keepalive()
        else:
            super().shutdown()

    def can_go(self) -> bool:
        """None is closed to make room for another: it has a route that is at work."""
        return False

    def look_after(self, now: float) -> None:
        """End it, where its client reads nothing: to close it would wait for the client, as the route may do."""
        self._empty_frames = 0
        unsent = unread_bytes(self.transport)
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

    def _refuse_flood(self) -> None:
        refusals.note(f"a websocket sent more than {MAX_EMPTY_FRAMES} empty frames in a second (1008)")
        self.frames = []
        self.conn.fail(AGAINST_THE_RULES, "too many empty frames")
        self.handle_parser_exception()

    def handle_cont(self, event: Frame) -> None:
        """Take a further frame of a message."""
        if not event.data and not event.fin:
            self._empty_frames += 1
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.frames = []
            self.conn.fail(TOO_BIG, "too many fragments")
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Give the route a message, unless it is not text: uvicorn would write a stack trace for what a client does."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                refusals.note("a text of a websocket was not UTF-8 (1007)")
                self.frames = []
                self.conn.fail(NOT_UTF8, "the text is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Close the connection, and note that a message was too large."""
        if self.conn.close_sent is not None and self.conn.close_sent.code == TOO_BIG:
            refusals.note("a message of a websocket was larger than WEBSOCKET_MAX_MESSAGE_BYTES (1009)")
        super().handle_parser_exception()

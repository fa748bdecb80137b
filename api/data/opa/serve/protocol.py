"""HTTP as the api speaks it: uvicorn's, with limits.

The attributes of uvicorn's protocol and its cycle that are used here are documented nowhere; that they are there is
held by `tests/serve/test_protocol.py`.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from opa._compat import uvicorn as compat
from opa.http.limits import limits_of
from opa.logging.refusal_log import refusals
from opa.serve.access import end_line
from opa.serve.answer import AnswerTransport, UnreadTransport
from opa.serve.left import Left
from opa.serve.progress import ANSWER, BODY_NOBODY_WANTS, HEAD, IDLE, REQUEST, Doing, measured
from opa.serve.refusal import cors_headers, last_answer, too_much_to_do
from opa.serve.turns import HeldFlow

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Iterable

    from uvicorn.server import ServerState

    from opa.serve.config import SharingConfig
    from opa.serve.connections import Connections

MAX_PIPELINED = 100
"""Requests at most that a client has sent before the answer to the one before them."""
RESERVED_CONNECTIONS = 16
"""Connections above the limit that are there for long enough to be told so, or to ask for the health of the process."""
MAX_LINGERING = 32
"""Connections at most that have had their last answer and are read on for a moment, so that it arrives."""
MAX_UNREAD_BYTES = 1_048_576
"""Bytes of a body at most that nobody has asked for. uvicorn stops reading at 64 KB, but a look at whether the client
is still there makes it go on."""
LINGER_TIMEOUT = 5.0
"""Seconds that a client has to see its last answer while it still sends. Closed at once, the connection would be reset,
and the answer lost."""
LINGER_BYTES = 67_108_864
"""What it may send in that time."""
MAX_SMALL_READ = 4096
"""Bytes that are taken in as they come. Of more, others may be waiting for the end: chunks of a byte take long."""
CHUNK_SIZE = 16_384
"""Bytes of those that are taken in before all the others get on."""


class _Refused(Exception):  # noqa: N818 - it ends the parser, and is caught here
    pass


class HttpProtocol(compat.HttpProtocol):
    """A connection.

    Args:
        config: has the `connections` that it belongs to.
        server_state: uvicorn's.
        app_state: of the lifespan.
    """

    _answers: AnswerTransport
    flow: HeldFlow

    def __init__(
        self,
        config: SharingConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        shared = config.connections
        self._shared: Connections = shared
        self._most_header_bytes = shared.header_bytes
        self._most_headers = shared.headers
        self._most_requests = shared.requests
        self.url = b""
        # Bytes of the head that is arriving; between two requests, of what is sent there.
        self._is_in_head = True
        self._head_bytes = 0
        # Whether all bytes of the head have been counted: one that begins behind another request has been seen in part.
        self._is_counted = True
        # Whether the request asks for an upgrade that is not supported: it comes again, without that.
        self._comes_again = False
        # Bytes since the last one of a body: extensions of chunks, and trailers.
        self._between = 0
        self._discarded = 0
        self._is_new = True
        self._is_above_limit = False
        self._refusal: bytes | None = None
        self._last_answer: bytes | None = None
        self._is_done = False
        # What has arrived and is not taken in yet.
        self._held = memoryview(b"")
        self._lingering: TimerHandle | None = None
        # The request that the application works on; `cycle` is the newest, which may wait behind it.
        self._active: RequestResponseCycle | None = None
        # For `look_after`: bytes of bodies that have come, and what it did when it was last looked at, since when.
        self._body_bytes = 0
        self.since = 0.0
        self._doing: Doing | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected: it gets a place, or is refused where there are too many."""
        super().connection_made(transport)
        self._answers = AnswerTransport(transport, self._shared.heads, self.loop)
        self.flow = HeldFlow(transport)
        self._shared.newcomers[self] = None
        above = self._above_limit()
        if above > 0 and not self._shared.make_room():
            self._is_above_limit = True
            if above > RESERVED_CONNECTIONS:
                self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended: tell the request that the application works on."""
        self._shared.newcomers.pop(self, None)
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
            self._shared.lingering -= 1
        if self._active is not None and not self._active.response_complete:  # uvicorn tells the newest alone
            self._active.disconnected = True
            self._active.message_event.set()
            if not self._active.response_started:
                Left.request(self._shared, self._active)
        self.pipeline.clear()
        self._held = memoryview(b"")
        super().connection_lost(exc)
        self.end_line()

    def data_received(self, data: bytes) -> None:
        """Parse what has come: at once where it is little, by turns with other connections where it is much."""
        size = len(data)
        if size > MAX_SMALL_READ or self._held:
            self._hold(data)
            return
        size += self._head_bytes
        if not self._is_in_head or self._is_done or size > self._most_header_bytes:
            self._take_in(data)
            return
        # What nearly each request comes in: each call less is felt there.
        self._head_bytes = size
        rest = self._parse(data)
        if rest is not None:
            self._feed(rest)

    def _hold(self, data: bytes) -> None:
        """Keep it for a turn."""
        if self._held:
            self._held = memoryview(bytes(self._held) + data)
        else:
            self._held = memoryview(data)
            self.flow.hold()
            self._shared.turns.wait(self)

    def take_part(self) -> bool:
        """Take in some of what has arrived; whether there is more."""
        part, self._held = self._held[:CHUNK_SIZE], self._held[CHUNK_SIZE:]
        if part:
            self._take_in(bytes(part))
        if self._held and not self.transport.is_closing():
            return True
        self._held = memoryview(b"")
        self.flow.let_go()
        return False

    def _take_in(self, data: bytes) -> None:
        if self._is_done:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.close()
            return
        if self._is_in_head:
            if self._head_bytes + len(data) > self._most_header_bytes:
                self._feed_in_parts(memoryview(data))
                return
            self._head_bytes += len(data)
        else:
            self._between += len(data)
        self._feed(data)

    def _feed_in_parts(self, data: memoryview) -> None:
        """Never give the parser more of a head than it may have: what it keeps of one grows with a copy each time."""
        while data and not self._is_done:
            size = len(data)
            if self._is_in_head:
                size = min(size, self._most_header_bytes - self._head_bytes)
                if not size:
                    self._refuse_head()
                    return
                self._head_bytes += size
            else:
                self._between += size
            self._feed(data[:size])
            data = data[size:]

    def _feed(self, data: bytes | memoryview) -> None:
        rest: bytes | memoryview | None = data
        while rest is not None:
            rest = self._parse(rest)

    def _parse(self, data: bytes | memoryview) -> bytes | None:
        """Give the parser data; what it is to have next, where the request was for an upgrade that is not supported."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if self._refusal is None:
                refusals.note("a request was not HTTP (400)")
                self._refusal = self._answer(400, "Invalid HTTP request received.")
            self._refuse(self._refusal)
        except httptools.HttpParserUpgrade as upgrade:
            if self.asks_for_websocket():
                self._is_done = True  # the rest of the data is not read
                self.handle_websocket_upgrade()
            else:
                self.note_other_upgrade()
                return self._head_without_upgrade() + data[upgrade.args[0] :]
        else:
            if not self._is_in_head:
                self._part_of_body(len(data))
            elif not self._is_counted and self.cycle.scope is self.scope:
                self._is_counted = True  # nothing of the next head came with this request
            # The parser looks at them when it has them all; trailers it never does.
            headers = self.headers
            if headers and len(headers) > self._most_headers and not self._is_done:
                headers.clear()
                refusals.note("a request had more headers than MAX_HEADERS (431)")
                self._refuse(self._answer(431, f"the request has more than {self._most_headers:.0f} headers"))
        return None

    def _head_without_upgrade(self) -> bytes:
        """The head that has been parsed, as that of an ordinary request, for a new parser.

        The parser takes what follows a request for an upgrade, its body too, for another protocol. The upgrade is to be
        ignored, and its body to be read: else it would be taken for the next request.
        """
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self._comes_again = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return b"\r\n".join([first, *lines, b"", b""])

    # What the parser calls.

    def on_headers_complete(self) -> None:
        """The head of a request is complete: begin it, or refuse it."""
        is_websocket = self.parser.should_upgrade() and self._begin_upgrade()
        if self._comes_again:
            return
        if len(self.headers) > self._most_headers:
            refusals.note("a request had more headers than MAX_HEADERS (431)")
            self._give_up(431, f"the request has more than {self._most_headers:.0f} headers")
        if not self._is_counted:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._most_header_bytes:
                refusals.note("the head of a request was larger than MAX_HEADER_BYTES (431)")
                self._give_up(431, f"the headers of the request have more than {self._most_header_bytes} bytes")
            self._is_counted = True
        if is_websocket and self.cycle is not None and not self.cycle.response_complete:
            # The connection would be the websocket's, and nobody would look after the request, or hear of its end.
            refusals.note("a websocket was asked for before the request in front of it was answered (400)")
            self._give_up(400, "a websocket cannot begin before the requests in front of it are answered")
        if self.pipeline and len(self.pipeline) >= MAX_PIPELINED:
            refusals.note(f"a client sent more than {MAX_PIPELINED} requests before an answer (503)")
            self._give_up(503, "too many requests before an answer")
        if self._is_new:
            self._is_new = False
            self._shared.newcomers.pop(self, None)
        self._between = 0
        if self._is_above_limit or len(self.tasks) - self._shared.websocket_tasks >= self._most_requests:
            self._begin_where_there_is_too_much()
        else:
            super().on_headers_complete()
        self._is_in_head = False
        if not is_websocket:
            # Trailers come here too, when the headers have been looked at: they are dropped, as most servers do.
            self.headers = []

    def _begin_upgrade(self) -> bool:
        """Whether the request is for a websocket; one for anything else comes again, unless it is refused."""
        if self.asks_for_websocket():
            return True
        if self.parser.get_method() == b"CONNECT":
            refusals.note("a request was for a proxy: CONNECT (400)")
            self._give_up(400, "this is not a proxy")
        self._comes_again = True
        return False

    def _begin_where_there_is_too_much(self) -> None:
        """Begin with a request that is refused, but for one that asks how the process is."""
        self._is_above_limit = self._is_above_limit and self._above_limit() > 0
        is_busy = self._is_above_limit or len(self.tasks) - self._shared.websocket_tasks >= self._most_requests
        if not is_busy or self._shared.is_health(self.parser.get_method().decode(), self.url):
            super().on_headers_complete()
            return
        if self.parser.should_upgrade():
            self._give_up(503, "the server has too much to do")
        if not self._is_above_limit:
            refusals.note("more requests in flight than MAX_REQUESTS (503)")
        app = self.app
        self.app = functools.partial(too_much_to_do, cors=self._shared.cors, closes=self._is_above_limit)
        try:
            super().on_headers_complete()
        finally:
            self.app = app

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._between = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete: the next head may come."""
        if self._comes_again:
            return
        super().on_message_complete()
        self._is_in_head = True
        self._is_counted = False
        self._head_bytes = 0
        self._discarded = 0

    # What uvicorn calls.

    def start_request(self, cycle: RequestResponseCycle, app: compat.Application) -> None:
        """Run the application, and put a cheaper transport before it."""
        self._active = cycle
        self._answers.cycle = cycle
        if cycle.transport is self.transport:
            cycle.transport = self._answers  # type: ignore[assignment]
        access_log = self._shared.access_log
        if access_log is not None:
            access_log.begin(cycle)
        task = self.loop.create_task(cycle.run_asgi(app))
        cycle.task = task  # type: ignore[attr-defined]
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Go on with the connection. There is no timer for one that is idle, see `look_after`."""
        if self._answers.head is not None:  # the answer to a HEAD has no body
            self._answers.let_go()
        self.server_state.total_requests += 1
        if self._shared.access_log is not None:
            self.end_line()
        if self._lingering is not None or self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.start_request(cycle, app)
        elif self._last_answer is not None:
            self.transport.write(self._last_answer)
            self.close_when_read()
        elif self.flow.read_paused:
            self.flow.resume_reading()

    def end_answer(self) -> None:
        """Close the connection behind an answer, the body of whose request may still be arriving."""
        self._answers.let_go()
        if self._is_in_head:
            self.transport.close()
        else:
            self.close_when_read()

    def _above_limit(self) -> float:
        return len(self.connections) - self._shared.lingering - self._shared.connections

    def note_other_upgrade(self) -> None:
        """Called where the request is answered without it."""
        refusals.note("an upgrade to something other than a websocket; the request is answered without it")

    # What is refused.

    def _refuse_head(self) -> None:
        if len(self.url) * 2 > self._most_header_bytes:
            refusals.note("a URL was longer than MAX_HEADER_BYTES (414)")
            answer = self._answer(414, f"the URL of the request has more than {len(self.url)} bytes")
        else:
            refusals.note("the head of a request was larger than MAX_HEADER_BYTES (431)")
            answer = self._answer(431, f"the headers of the request have more than {self._most_header_bytes} bytes")
        self._refuse(answer)

    def _give_up(self, status: int, detail: str) -> None:
        """Refuse the request that is being parsed, from inside of the parser."""
        self._refusal = self._answer(status, detail, self.headers)
        raise _Refused

    def _refuse(self, answer: bytes) -> None:
        """Answer, in its turn, and read no more from this connection."""
        self._is_done = True
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(answer)
            self.close_when_read()
        elif self._is_in_head:
            # What has been asked for before is answered first. It is read on meanwhile, to hear when the client goes.
            self._last_answer = answer
        elif self.pipeline or cycle.response_started:
            self._answers.close()
        else:
            self._cut_off(answer)

    def _cut_off(self, answer: bytes) -> None:
        """Answer in place of the application, which hears that the client is gone."""
        self._is_done = True
        self.pipeline.clear()
        self.transport.write(answer)
        if self._active is not None:
            self._active.disconnected = True
            self._active.message_event.set()
        self.close_when_read()

    def _answer(self, status: int, detail: str, to: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """An answer that closes the connection.

        Args:
            status: its status.
            detail: what it says.
            to: the headers of the request, where they are known.
        """
        return last_answer(status, detail, [*self.server_state.default_headers, *cors_headers(self._shared.cors, to)])

    def _part_of_body(self, size: int) -> None:
        """Look at a body of which there is more to come."""
        self._body_bytes += size
        cycle = self.cycle
        if cycle is None or (self.parser.should_upgrade() and self.asks_for_websocket()):
            return
        if self._between > self._most_header_bytes:
            refusals.note("between the bytes of a body there was more than MAX_HEADER_BYTES (431)")
            self._refusal = None
            self._refuse(self._answer(431, "there is too much between the bytes of the body", cycle.scope["headers"]))
            return
        if cycle.response_complete:
            self._discarded += size
            if self._discarded > self._shared.discarded_bytes:
                self.close_when_read()
        elif not isinstance(cycle.transport, UnreadTransport):
            cycle.transport = UnreadTransport(self._answers, self.end_answer)  # type: ignore[assignment]
        elif len(cycle.body) > MAX_UNREAD_BYTES:
            refusals.note("a client sent a body behind a request that is not answered yet")
            self._answers.close()

    def close_when_read(self) -> None:
        """Close the connection; while the client is still sending, let it see first what it was told."""
        if self._lingering is not None or self.transport.is_closing():
            return
        self._is_done = True
        self._discarded = 0
        if self._shared.lingering >= MAX_LINGERING:
            self.transport.close()
            return
        self._shared.lingering += 1
        self._lingering = self.loop.call_later(LINGER_TIMEOUT, self._end_lingering)
        self.flow.resume_reading()
        self.transport.write_eof()

    def _end_lingering(self) -> None:
        """Make its place free. What the client has not read yet it still can, see `look_after`."""
        self._lingering = None
        self._shared.lingering -= 1
        self.transport.close()

    def drop(self) -> None:
        """Close the connection at once, to make room."""
        self._shared.newcomers.pop(self, None)
        self._is_done = True
        self.transport.abort()

    # What `Server` and `Connections` call.

    def end_line(self) -> None:
        """Write the line of the request that the application works on, where it is not written yet."""
        end_line(self._active)

    def is_idle(self) -> bool:
        """Whether it waits for another request, of which nothing has come yet."""
        cycle = self.cycle
        return (
            cycle is not None
            and cycle.response_complete
            and self._is_in_head
            and not self._head_bytes
            and not self._is_done
            and not self._held
            and cycle.scope is self.scope
        )

    def can_go(self) -> bool:
        """Whether nothing is lost where it is closed at once: it is idle, and its last answer has gone out."""
        return self.is_idle() and not self.transport.get_write_buffer_size()

    def look_after(self, now: float) -> None:
        """Close it, where it has been doing the same for too long."""
        if self._lingering is not None:
            return
        doing = self._what_it_does()
        if doing != self._doing:
            self._doing = doing
            self.since = now
            return
        name = doing.name
        took = now - self.since
        shared = self._shared
        if doing.unsent and took > shared.idle_time:
            refusals.note("a client did not read its answer, see IDLE_TIMEOUT")
            self.transport.abort()
        elif self.transport.is_closing():
            pass  # all that is left is to be read
        elif name == HEAD:
            if took > shared.header_time:
                self._end_slow_head()
        elif name == IDLE:
            if took > shared.idle_time:
                self.transport.close()
        elif name == BODY_NOBODY_WANTS:
            if took > shared.body_time:
                refusals.note("a body did not arrive in time, see BODY_TIMEOUT (408)")
                self.close_when_read()
        elif name == REQUEST:
            self._end_slow_request(doing, took)

    def _what_it_does(self) -> Doing:
        cycle, newest = self._active, self.cycle
        if cycle is None or newest.response_complete:
            waits = HEAD if self._is_in_head else BODY_NOBODY_WANTS
            name = IDLE if self.is_idle() else waits
        else:
            name = ANSWER if cycle.response_started else REQUEST
        return measured(name, cycle, self.transport, body_bytes=self._body_bytes, idle_time=self._shared.idle_time)

    def _end_slow_request(self, doing: Doing, took: float) -> None:
        cycle: Any = doing.cycle
        said = limits_of(cycle.scope.get("endpoint"))
        most = self._shared.request_time(said.time)
        if not doing.is_whole:
            most += self._shared.time_of_body(said.body_time)
        if took > most:
            refusals.note("an answer had not begun in time, see REQUEST_TIMEOUT (503)")
            self._cut_off(self._answer(503, "the request took too long", cycle.scope["headers"]))
            cycle.task.cancel("REQUEST_TIMEOUT")

    def _end_slow_head(self) -> None:
        if self._head_bytes:
            refusals.note("the head of a request did not arrive in time, see HEADER_TIMEOUT (408)")
            self._refuse(self._answer(408, "the headers of the request did not arrive in time"))
        else:
            refusals.note("a connection was silent, see HEADER_TIMEOUT")
            self.transport.close()

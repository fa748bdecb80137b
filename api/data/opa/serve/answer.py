"""The head of an answer and the body behind it in one write, and so in one packet.

uvicorn writes the head when the answer begins, and then the body. Each write is a call into the kernel and a packet of
its own, which the client receives by itself: the second of them costs a small request some hundredths of its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

JOINED = 65_536
"""Bytes of a body at most that are copied behind a head; a copy of more takes longer than a further write."""
PATIENCE = 0.002
"""Seconds that a head waits at most. A timer for each turn of the event loop would cost a small request 2 %."""


class Heads:
    """The heads of a process that wait for what is behind them, for `PATIENCE`.

    The answer of a stream may have nothing behind its head for minutes, and its client is to know that it has begun.

    Attributes:
        waiting: those whose heads wait, and others whose heads have gone with their bodies. The first one begins.
    """

    def __init__(self) -> None:
        self.waiting: list[AnswerTransport] = []

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those go that wait when the time of the first one has come: one timer for all that begin meanwhile."""
        loop.call_later(PATIENCE, self._let_go)

    def _let_go(self) -> None:
        waiting = self.waiting.copy()
        self.waiting.clear()
        for answer in waiting:
            if answer.head is not None:  # a call for each answer would be felt
                answer.let_go()


class AnswerTransport:
    """The transport of a connection as the requests on it see it that are answered one after another.

    Args:
        transport: of the connection.
        heads: those of the process.
        loop: which the connection is in.

    Attributes:
        head: of an answer, where it waits for its body.
        cycle: the request to which all that is written now is the answer, until its head has been.
    """

    __slots__ = ("_heads", "_loop", "_transport", "_waiting", "_write", "cycle", "head", "is_closing")

    def __init__(self, transport: asyncio.Transport, heads: Heads, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._write = transport.write
        self.is_closing = transport.is_closing
        self._heads = heads
        self._waiting = heads.waiting
        self._loop = loop
        self.cycle: RequestResponseCycle | None = None
        self.head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write a part of the answer; uvicorn's `send` calls it, with the whole head first."""
        head = self.head
        if head is not None:
            self.head = None
            if len(data) <= JOINED:
                data = head + data
            else:
                self._write(head)
        elif self.cycle is not None and self.cycle.response_started:  # "100 Continue" comes before that
            self.cycle = None
            self.head = data
            if not self._waiting:
                self._heads.begin(self._loop)
            self._waiting.append(self)  # not by a call: one for each answer would be felt
            return
        self._write(data)

    def let_go(self) -> None:
        """Write the head, where it still waits."""
        head, self.head = self.head, None
        if head is not None and not self.is_closing():
            self._write(head)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self.let_go()
        self._transport.close()


class UnreadTransport:
    """The transport as the answer to a request sees it whose body is still arriving.

    Args:
        answers: that of answers to other requests.
        close: called where the connection is to be closed behind the answer.
    """

    def __init__(self, answers: AnswerTransport, close: Callable[[], None]) -> None:
        self.write = answers.write
        self.is_closing = answers.is_closing
        self.close = close

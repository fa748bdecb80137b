"""What is known of a request while it is answered.

It is one object: each further one would cost a small request half a percent of its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from opa.context import Context

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Message, Scope, Send

    from opa.http.answer_headers import AnswerHeaders

SWITCHING_PROTOCOLS = 101
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class RequestContext(Context):
    """Of a request, or of a websocket.

    Args:
        manager: the plugins of the application.
        request_id: None where requests have none.
        scope: as the server has given it.
        send: that of the server.
        headers: what each answer gets.

    Attributes:
        candidates: the routes among which the router has looked, in `scope`; None before it has.
        status: of the answer that is on its way; 0 before there is one, and 101 of a websocket that was accepted.
        after: what is to run when the answer is sent; None where there is nothing, and empty when that is so.
    """

    candidates: Sequence[BaseRoute] | None
    after: tuple[Callable[[], Awaitable[object]], ...] | None

    __slots__ = ("_given_scope", "_headers", "_send", "after", "candidates", "status")

    def __init__(
        self, manager: Any, request_id: bytes | None, scope: Scope, send: Send, headers: AnswerHeaders
    ) -> None:
        # Not by that of the class above: the call would take as long as half of this.
        self.manager = manager
        self.request_id = request_id
        self.actor = self.address = self.scope = None
        self.candidates = self.after = None
        self.status = 0
        self._given_scope = scope
        self._send = send
        self._headers = headers

    @property
    def is_websocket(self) -> bool:
        """Whether it is of a websocket, which has no one answer."""
        return bool(self._given_scope["type"] == "websocket")

    # Not `async`, for it is called for each message: what it returns is awaited by who calls it.
    def send(self, message: Message) -> Awaitable[None]:
        """Send a message; the start of an answer with its headers."""
        if message["type"] in _STARTS:
            status = self.status = message.get("status", SWITCHING_PROTOCOLS)
            message = self._headers.added_to(message, status, self._given_scope, self.request_id, self)
        return self._send(message)

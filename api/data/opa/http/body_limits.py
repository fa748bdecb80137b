"""The body of a request: how many bytes it may have, and how long it may take to arrive."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope

from opa.http.limits import chosen, limits_of
from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    from opa.settings.load import Config

MIN_BYTES_PER_SECOND = 10_000
"""Bytes of a body that earn it one more second: a large upload takes its time, one byte a minute does not."""

_REFUSAL = "opa.refused_body"


class RefusedBodyError(HTTPException):
    """A body is too large or too slow; the rest of it is not read, so the connection ends with the answer."""

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__(status_code, detail, headers={"connection": "close"})


def answer_refused(error: RefusedBodyError) -> JSONResponse:
    """The answer that FastAPI gives, for where it does not get the error."""
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def refusal_of(scope: Scope) -> RefusedBodyError | None:
    """Why no more of a request's body is read; who reads on after that hears that the client is gone.

    Args:
        scope: of the request; it knows, since what `receive` is here may be something around that of the request.
    """
    refusal = scope.get(_REFUSAL)
    return RefusedBodyError(*refusal) if refusal else None


class BodyLimits:
    """The limits of the settings, for the requests to routes that have none of their own.

    Args:
        config: reads MAX_BODY_BYTES, MAX_UPLOAD_BYTES and BODY_TIMEOUT.
    """

    def __init__(self, config: Config) -> None:
        self.body_bytes: int | None = config.MAX_BODY_BYTES
        self.upload_bytes: int | None = config.MAX_UPLOAD_BYTES
        self.body_time: float | None = config.BODY_TIMEOUT


class LimitedBody:
    """`receive` of one request. Nothing happens before someone calls it: most requests have no body.

    Which route it is for is known only when a route has been chosen. What reads the body before that, as a middleware
    may, gets the limits of the settings.

    Args:
        receive: the server's.
        scope: of the request.
        limits: of the settings.
        came: when the request has come, of the monotonic clock.

    Attributes:
        came: the same.
    """

    __slots__ = (
        *("_deadline", "_endpoint", "_limits", "_most", "_receive", "_received", "_scope", "_started", "_state"),
        "came",
    )

    def __init__(self, receive: Receive, scope: Scope, limits: BodyLimits, came: float) -> None:
        self._receive = receive
        self._scope = scope
        self._limits = limits
        self._state = _NEW
        self.came = came

    def __call__(self) -> Awaitable[Message]:
        """The next part of the body, or of what follows it.

        Raises:
            RefusedBodyError: it is too large, before any of it is read where its length is known; or too slow.
        """
        return self._receive() if self._state is _COMPLETE else self._next_part()

    async def _next_part(self) -> Message:
        if self._state is _REFUSED:
            return {"type": "http.disconnect"}
        endpoint = self._scope.get("endpoint")
        if self._state is _NEW:
            self._state = _ARRIVING
            self._received = 0
            self._started = asyncio.get_running_loop().time()
            self._apply(endpoint)
        elif endpoint is not self._endpoint:
            self._apply(endpoint)
        if self._received > self._most:
            self._refuse_size()
        message = await self._in_time()
        if message["type"] != "http.request":
            self._state = _COMPLETE
            return message
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            self._refuse_size()
        if not message.get("more_body", False):
            self._state = _COMPLETE
        return message

    async def _in_time(self) -> Message:
        deadline = self._deadline + self._received / MIN_BYTES_PER_SECOND
        if deadline == math.inf:
            return await self._receive()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._receive()
        except TimeoutError:
            refusals.note("a body did not arrive in time, see BODY_TIMEOUT (408)")
            raise self._refusal(408, "the body of the request did not arrive in time") from None

    def _apply(self, endpoint: Any) -> None:
        """Take the limits of the route."""
        self._endpoint = endpoint
        said = limits_of(endpoint)
        most = self._limits.upload_bytes if _is_upload(self._scope) else self._limits.body_bytes
        self._most = chosen(said.body_bytes, most)
        self._deadline = self._started + chosen(said.body_time, self._limits.body_time)
        announced = _header(self._scope, b"content-length")
        if announced.isdigit() and int(announced[:20]) > self._most:
            self._refuse_size()

    def _refuse_size(self) -> NoReturn:
        setting = "MAX_UPLOAD_BYTES" if _is_upload(self._scope) else "MAX_BODY_BYTES"
        refusals.note(f"a body is larger than its route takes, see {setting} (413)")
        raise self._refusal(413, f"the body of the request has more than {self._most:.0f} bytes")

    def _refusal(self, status_code: int, detail: str) -> RefusedBodyError:
        self._state = _REFUSED
        self._scope[_REFUSAL] = (status_code, detail)  # not the error: with its traceback that would be a cycle
        return RefusedBodyError(status_code, detail)


_NEW, _ARRIVING, _COMPLETE, _REFUSED = "new", "arriving", "complete", "refused"


def _is_upload(scope: Scope) -> bool:
    """Whether the files in the body go to disk: FastAPI parses the form.

    What the client says it sends is not enough. A route that takes JSON would have all of it in memory.
    """
    if not _header(scope, b"content-type").lower().startswith(b"multipart/form-data"):
        return False
    # FastAPI's own place for the route of an included router; see `included_routes`.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    field = getattr(route, "body_field", None)
    return isinstance(getattr(field, "field_info", None), _form_type())


def _form_type() -> type:
    from fastapi.params import Form

    return Form


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""

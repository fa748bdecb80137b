"""CORS: no page of another site may call the API unless ALLOW_ORIGINS names the site.

It is no middleware of its own. Its headers belong to every answer, those of a plugin's middleware and that to an error
that nothing caught among them: without them the page is told nothing but that it is blocked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from opa.logging.request_id import HEADER

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from opa.settings.load import Config

RawHeaders = list[tuple[bytes, bytes]]

_ORIGIN = b"access-control-allow-origin"
_CREDENTIALS = b"access-control-allow-credentials"
_EXPOSED = b"access-control-expose-headers"


class Cors:
    """What the answers to pages of other sites have.

    Args:
        config: reads ALLOW_ORIGINS, ALLOW_CREDENTIALS, ALLOW_METHODS, ALLOW_HEADERS, and REQUEST_ID, whose header those
            pages may read.
    """

    def __init__(self, config: Config) -> None:
        self._origins = frozenset(origin.encode("latin-1") for origin in config.ALLOW_ORIGINS)
        self._is_for_all = b"*" in self._origins
        self._always: RawHeaders = []
        if config.ALLOW_CREDENTIALS:
            self._always.append((_CREDENTIALS, b"true"))
        if config.REQUEST_ID:
            self._always.append((_EXPOSED, HEADER))
        self._starlette = CORSMiddleware(
            _nothing,
            allow_origins=config.ALLOW_ORIGINS,
            allow_credentials=config.ALLOW_CREDENTIALS,
            allow_methods=config.ALLOW_METHODS,
            allow_headers=config.ALLOW_HEADERS,
        )

    @classmethod
    def from_config(cls, config: Config) -> Cors | None:
        """That of the settings; None where they name no origin, and nothing is to be done."""
        return cls(config) if config.ALLOW_ORIGINS else None

    def preflight(self, scope: Scope, app: ASGIApp) -> ASGIApp | None:
        """What answers a browser that asks before it sends a request; None to any other request.

        Args:
            scope: of the request.
            app: is asked about an origin that the settings do not name, which a plugin may let in by itself.
        """
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        answer = self._starlette.preflight_response(request_headers=headers)
        is_ours = self._is_for_all or headers["origin"].encode("latin-1") in self._origins
        return answer if is_ours else partial(_let_in_or_refused, app, answer)

    def with_own(self, headers: RawHeaders, scope: Scope) -> RawHeaders:
        """The headers of an answer, with those that belong to it.

        Those of a plugin that say the same are replaced where the page's origin is one of the settings.
        """
        own = self.headers_for(scope)
        if len(own) > 1 or self._is_for_all:
            headers = [(name, value) for name, value in headers if name.lower() not in (_ORIGIN, _CREDENTIALS)]
        if not self._is_for_all and any(name.lower() == b"vary" and _has_origin(value) for name, value in headers):
            own = own[1:]
        return [*headers, *own]

    def headers_for(self, scope: Scope) -> RawHeaders:
        """The headers of the answer to this request.

        Where the answer depends on the origin, a cache is told so, also in one to a request that has none: it would
        give that to the pages as well.
        """
        found: RawHeaders = [] if self._is_for_all else [(b"vary", b"Origin")]
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is None or not (self._is_for_all or origin in self._origins):
            return found
        return [*found, (_ORIGIN, b"*" if self._is_for_all else origin), *self._always]


async def _let_in_or_refused(app: ASGIApp, refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as `app` does where that lets the page's origin in, otherwise with `refusal`."""
    is_refused = False

    async def send_on(message: Message) -> None:
        nonlocal is_refused
        if message["type"] == "http.response.start":
            headers = list(message.get("headers") or ())  # it may be an iterator
            is_refused = all(name.lower() != _ORIGIN for name, _ in headers)
            message = {**message, "headers": headers}
        if not is_refused:
            await send(message)

    await app(scope, receive, send_on)
    if is_refused:
        await refusal(scope, receive, send)


def _has_origin(vary: bytes) -> bool:
    return not {b"*", b"origin"}.isdisjoint(name.strip().lower() for name in vary.split(b","))


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Stands for what is behind Starlette's middleware, of which the answer to a preflight alone is used."""

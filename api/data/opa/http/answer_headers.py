"""What each answer has in its headers, whatever it is the answer to.

As with CORS it is no middleware: it belongs to the answer to an error that nothing caught, too. It is put there in one
go, since a copy of an answer's start for each of these would cost a small request some percent of its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opa.http import allowed_methods, slash_redirect
from opa.http.security_headers import security_headers, tls_headers
from opa.logging.request_id import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import Message, Scope

    from opa.http.cors import Cors
    from opa.settings.load import Config

    Headers = Iterable[tuple[bytes, bytes]]

_TLS = frozenset({"https", "wss"})
_REDIRECT, _WRONG_METHOD = slash_redirect.STATUS, allowed_methods.STATUS
_USUAL = frozenset({b"allow", b"content-length", b"content-type"})
"""Names that many answers have, in lower case, and that are none of ours."""


class Looked(Protocol):
    """What is known of a request: the routes among which the router has looked, and for which scope."""

    scope: Scope | None
    candidates: Sequence[BaseRoute] | None


class AnswerHeaders:
    """The headers that answers get. One that has a header already keeps its own; those of CORS are replaced.

    Args:
        config: reads the settings in `security_headers.HEADERS`, and HSTS_SECONDS.
        cors: where pages of other sites may read answers.
        candidates: gives the routes that can match the path of a request.
    """

    def __init__(self, config: Config, cors: Cors | None, candidates: Callable[[Scope], Sequence[BaseRoute]]) -> None:
        self._cors = cors
        self._candidates = candidates
        self._plain = security_headers(config)
        self._over_tls = [*self._plain, *tls_headers(config)]
        self._names = frozenset([HEADER, *(name for name, _ in self._over_tls)])

    def added_to(
        self,
        message: Message,
        status: int | None,
        scope: Scope,
        request_id: bytes | None,
        context: Looked | None = None,
    ) -> Message:
        """The start of an answer with them; the message itself, which may be sent again, stays as it is.

        Args:
            message: the start of an answer to a request, or to the handshake of a websocket.
            status: that of it.
            scope: of the request.
            request_id: None where requests have none.
            context: of the request, where it has one.
        """
        given = message.get("headers")
        if type(given) is not list:  # ASGI lets it be anything that can be gone through, also once alone
            given = list(given or ())
        if status == _WRONG_METHOD and scope["type"] == "http":
            # The router has looked for them already, unless a middleware has handed another scope on.
            routes = context.candidates if context is not None and context.scope is scope else None
            given = allowed_methods.with_all(given, scope, self._candidates(scope) if routes is None else routes)
        elif status == _REDIRECT:
            given = slash_redirect.stays_here(given, scope)
        if self._cors is not None and scope["type"] == "http":
            given = self._cors.with_own(given, scope)
        ours: Headers
        if message["type"] == "websocket.accept":
            ours = ()  # a browser shows nothing of a websocket
        else:
            ours = self._over_tls if scope["scheme"] in _TLS else self._plain
        headers = [*given, *ours]
        if request_id is not None:
            headers.append((HEADER, request_id))
        for name, _ in given:
            if name not in _USUAL and (name in self._names or not name.islower()):
                headers = [*given, *_missing(headers[len(given) :], given)]
                break
        # Not `{**message, "headers": headers}`, which takes twice the time.
        message = {**message}
        message["headers"] = headers
        return message


def _missing(headers: Headers, given: Headers) -> Headers:
    """Those of `headers` that are not among those that are given, in any case."""
    names = {name.lower() for name, _ in given}
    return [header for header in headers if header[0] not in names]

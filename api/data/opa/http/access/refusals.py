"""The answers to who is not known, and to who may not: the same whatever is wrong with a credential."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

CHALLENGE = "Bearer"
"""Where no authenticator has one: the header has to be there."""
NOT_AUTHENTICATED = "not authenticated"
POLICY_VIOLATION = 1008


class RefusedHandshakeError(WebSocketException):
    """A websocket is refused before it is accepted.

    Attributes:
        answer: what a request of HTTP would have got.
    """

    def __init__(self, answer: HTTPException) -> None:
        super().__init__(POLICY_VIOLATION, answer.detail)
        self.answer = answer


def not_authenticated(authenticators: Mapping[str, Any]) -> HTTPException:
    """401, with the challenge of each authenticator in a header of its own."""
    given = [getattr(authenticator, "challenge", None) for authenticator in authenticators.values()]
    challenges = dict.fromkeys(challenge for challenge in given if isinstance(challenge, str)) or [CHALLENGE]
    # Not a dict, in which a header is there once.
    headers = Headers(raw=[(b"www-authenticate", challenge.encode("latin-1")) for challenge in challenges])
    return HTTPException(401, NOT_AUTHENTICATED, headers)


def to_sign_in(connection: HTTPConnection, authenticators: Mapping[str, Any]) -> HTTPException | None:
    """303 to the page where a person signs in, for a browser that asks for a page; None for all else."""
    scope = connection.scope
    if scope["type"] != "http" or scope["method"] != "GET" or "text/html" not in connection.headers.get("accept", ""):
        return None
    for authenticator in authenticators.values():
        url_for = getattr(authenticator, "sign_in_url", None)
        url = None if url_for is None else url_for(HTTPConnection(scope))
        if url is not None:
            return HTTPException(303, "sign in", {"Location": quote(url, safe=":/%#?=@[]!$&'()*+,;")})
    return None


def not_allowed(missing: Iterable[str]) -> HTTPException:
    """403, with the scopes that are missing."""
    scopes = list(missing)
    text = f"the scope {scopes[0]} is" if len(scopes) == 1 else f"the scopes {', '.join(scopes)} are"
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
    return HTTPException(403, f"{text} missing", {"WWW-Authenticate": challenge})


def refusal(connection: HTTPConnection, answer: HTTPException) -> HTTPException | RefusedHandshakeError:
    """What to raise, so that the connection gets `answer`."""
    return RefusedHandshakeError(answer) if connection.scope["type"] == "websocket" else answer


async def answer_refused_handshake(websocket: WebSocket, error: RefusedHandshakeError) -> None:
    """Answer with the status where the server can do so, or else by closing the websocket."""
    if "websocket.http.response" not in websocket.scope.get("extensions", {}):
        await websocket.close(error.code, error.reason)
        return
    answer = error.answer
    response = JSONResponse({"detail": answer.detail}, answer.status_code, answer.headers)
    await websocket.send_denial_response(response)

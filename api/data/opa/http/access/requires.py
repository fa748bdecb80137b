"""Routes that require an actor: `actor: Annotated[Actor, Requires("shop:write")]`."""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from opa._util.scopes import is_scope
from opa.access.actor import Actor
from opa.access.authenticators import authenticators
from opa.access.scopes import missing
from opa.core.running import running_manager
from opa.errors import OpaError
from opa.http.access.authenticate import authenticate
from opa.http.access.recheck import keep_asking
from opa.http.access.refusals import not_allowed, not_authenticated, refusal, to_sign_in


def Requires(*scopes: str) -> Any:  # noqa: N802 - it stands where FastAPI's Depends stands
    """A dependency that gives the actor who sent the request, and lets nobody else pass.

    Use it as `actor: Annotated[Actor, Requires("shop:write")]`, or in `dependencies` of a route or a router. Who is not
    known is answered 401, and who lacks a scope 403.

    Args:
        scopes: all of them are needed; without one, it is enough to be known.

    Raises:
        OpaError: one of them can be no scope.
    """
    for scope in scopes:
        if not is_scope(scope):
            raise OpaError(
                f"Requires({scope!r}) names no scope",
                hint="A scope is a text of printable ASCII without spaces, quotes and backslashes, such as shop:write",
            )
    return Depends(RequiredActor(tuple(dict.fromkeys(scopes))))


class RequiredActor:
    """The dependency behind `Requires(…)`."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes

    async def __call__(self, connection: HTTPConnection) -> Actor:
        """The actor.

        Raises:
            HTTPException: 401 or 403.
            RefusedHandshakeError: the same, of a websocket.
        """
        return await require(connection, self.scopes)


async def require(connection: HTTPConnection, scopes: tuple[str, ...]) -> Actor:
    """The actor who sent the request, and who has all of `scopes`.

    Raises:
        HTTPException: nobody is known (401, or the way to the page where a person signs in), or a scope is missing
            (403).
        RefusedHandshakeError: the same, of a websocket.
    """
    actor = await authenticate(connection)
    if actor is None:
        members = authenticators(running_manager().groups)
        raise refusal(connection, to_sign_in(connection, members) or not_authenticated(members))
    if lacking := missing(actor.scopes, scopes):
        raise refusal(connection, not_allowed(lacking))
    if connection.scope["type"] == "websocket":
        keep_asking(connection, scopes)
    return actor

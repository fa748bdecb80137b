"""Who is signed in, in a test: whoever the test says."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opa.access.actor import Actor

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

__tracebackhide__ = True  # for pytest, which shows the line of the test

HEADER = "x-opa-testing-actor"


class Actors:
    """Those of one application. A request names its actor by a token that nobody else knows."""

    def __init__(self) -> None:
        self._by_token: dict[str, Actor] = {}

    def headers(self, id_: str, scopes: Iterable[str], kind: str, claims: Mapping[str, Any] | None) -> dict[str, str]:
        """What a request of an actor has.

        Raises:
            OpaError: there can be no such actor.
        """
        actor = Actor(id_, kind, frozenset(scopes) if not isinstance(scopes, str) else scopes, claims or {})  # type: ignore[arg-type]
        token = secrets.token_hex()
        self._by_token[token] = actor
        return {HEADER: token}

    async def authenticate(self, connection: HTTPConnection) -> Actor | None:
        """A member of the group `authenticators`."""
        return self._by_token.get(connection.headers.get(HEADER, ""))

"""Whose requests a limit counts together: those of an actor, an address, a plugin, a route, or what a function says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final, Literal, get_args

from starlette.requests import HTTPConnection

from opa._util.sources import where_is_function
from opa._util.words import kind_of
from opa.access.actor import Actor
from opa.access.address import address_of
from opa.access.authenticators import authenticators
from opa.core.running import running_manager
from opa.errors import ComponentUnavailableError
from opa.http.access.authenticate import authenticate
from opa.http.request_facts import mounted_at, plugin_of, route_in

Kind = Literal["actor", "address", "plugin", "route"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
By = Kind | Callable[[HTTPConnection], str | int | Awaitable[str | int | None] | None]

MAX_LENGTH = 100
"""Bytes of a caller in a key; of longer ones the hash stands there."""


async def caller_of(connection: HTTPConnection, by: By) -> bytes | None:
    """Who counts as one, as a part of a key; None where the request is not counted.

    Raises:
        TypeError: a function gives something else than a text, a number or None.
    """
    if by == "actor":
        actor = await _actor_of(connection)
        return _part("address", address_of(connection)) if actor is None else _part("actor", actor.id)
    if by == "address":
        return _part("address", address_of(connection))
    if by == "plugin":
        return _part("plugin", plugin_of(connection.scope.get("endpoint"), running_manager()) or "")  # type: ignore[arg-type]
    if by == "route":
        return _part("route", _route_of(connection))
    given = by(connection)
    if inspect.isawaitable(given):
        given = await given
    if given is None:
        return None
    if not isinstance(given, str | int):
        raise TypeError(
            f"{where_is_function(by)} gives {kind_of(given)} for a rate limit; give a text, a number or None"
        )
    return _part("by", str(given))


async def _actor_of(connection: HTTPConnection) -> Actor | None:
    if not authenticators(running_manager().groups):
        return None
    try:
        return await authenticate(connection)
    except ComponentUnavailableError:  # the route may be open; one that is not asks too, and is told the same
        return None


def _route_of(connection: HTTPConnection) -> str:
    scope = connection.scope
    path = getattr(route_in(scope), "path", scope["path"])
    return f"{scope.get('method', 'WEBSOCKET')} {mounted_at(scope)}{path}"


def _part(kind: str, caller: str) -> bytes:
    # A caller may have chosen it: any characters, in any number.
    text = caller.encode(errors="backslashreplace")
    if len(text) > MAX_LENGTH:
        text = b"#" + blake2b(text, digest_size=16).hexdigest().encode()
    return kind.encode() + b":" + text

"""Asks the authenticators who is calling: once a request, and only where something requires it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection

from opa._util.words import kind_of
from opa.access.actor import Actor
from opa.access.address import host_of
from opa.access.authenticators import Authenticator, authenticators, kind_of_credential
from opa.access.counts import count_credential
from opa.context import context_to_change
from opa.core.running import running_manager
from opa.errors import ComponentUnavailableError, RefusedCredentialError
from opa.http.access.attempt import refuse, refuse_while_waiting
from opa.http.request_facts import ACTOR


class Asked:
    """What is known of who sent one request.

    Attributes:
        actor: who it is, once that is known; None where nobody is, and while nobody was asked.
    """

    __slots__ = ("_error", "_is_done", "_lock", "actor")

    def __init__(self) -> None:
        self.actor: Actor | None = None
        self._error: Exception | None = None
        self._is_done = False
        self._lock = asyncio.Lock()

    async def ask(self, connection: HTTPConnection, members: Mapping[str, Authenticator]) -> Actor | None:
        """Ask, unless that is done; who comes meanwhile waits for the same answer."""
        async with self._lock:
            if not self._is_done:
                try:
                    self.actor = await _first(connection, members)
                except Exception as error:  # noqa: BLE001 - it is raised again, for this one and for who asks later
                    self._error = error
                self._is_done = True
        if self._error is not None:
            raise self._error
        return self.actor


async def authenticate(connection: HTTPConnection) -> Actor | None:
    """Who sent the request; None where no authenticator knows, and where one refused the credential.

    Raises:
        Exception: whatever an authenticator has raised. The request must not go on then.
    """
    asked: Asked | None = connection.scope.get(ACTOR)
    if asked is None:
        asked = connection.scope[ACTOR] = Asked()
    elif asked.actor is not None:
        context_to_change().actor = asked.actor
        return asked.actor
    members = authenticators(running_manager().groups)
    # Not the request: its body belongs to the route.
    actor = await asked.ask(HTTPConnection(connection.scope), members)
    if actor is not None:
        refuse_while_waiting(connection)
    context = context_to_change()
    context.actor, context.address = actor, host_of(connection)
    return actor


async def _first(connection: HTTPConnection, members: Mapping[str, Authenticator]) -> Actor | None:
    manager: Any = running_manager()
    for uri, authenticator in members.items():
        try:
            found = await ask_one(connection, authenticator)
        except RefusedCredentialError as refused:
            await refuse(connection, refused, f"authenticator {uri!r}", kind_of_credential(uri, authenticator))
            return None
        except Exception as error:
            if isinstance(error, ComponentUnavailableError):
                count_credential(manager, kind_of_credential(uri, authenticator), "unavailable")
            error.add_note(f"It was raised by the authenticator '{uri}', so the request is not answered.")
            raise
        if found is not None:
            count_credential(manager, found.kind, "right")
            return found
    return None


async def ask_one(connection: HTTPConnection, authenticator: Authenticator) -> Actor | None:
    """Who is calling, as far as one authenticator knows.

    Raises:
        Exception: whatever it has raised.
        TypeError: it gives something else.
    """
    # By whatever it may have been given: what it says is used to decide who may do what.
    found: Any = await authenticator(connection)
    if found is not None and not isinstance(found, Actor):
        raise TypeError(f"an authenticator returned {kind_of(found)}, and neither an Actor nor None")
    return found

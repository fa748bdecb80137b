"""Who sends a request, by the session in its cookie."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from time import time
from typing import TYPE_CHECKING

from fastapi.security import APIKeyCookie

from opa import Actor, RefusedCredentialError, config, get_plugin_manager
from opa.plugins.access_sessions.cookie import NAME, session_id_in
from opa.plugins.access_sessions.origin import refuse_foreign
from opa.plugins.access_sessions.paths import with_way_back
from opa.plugins.access_sessions.people import Person
from opa.plugins.access_sessions.store import Session, store_of
from opa.plugins.access_sessions.users import User

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from opa.plugins.access_sessions.oidc.provider import Provider


class Sessions:
    """The authenticator.

    Args:
        users: of the settings.
        providers: of the settings, who know other people.
    """

    kind = "session"
    may_be_unavailable = True

    def __init__(self, users: Mapping[str, User], providers: Mapping[str, Provider]) -> None:
        self._users = users
        self._providers = providers

    @cached_property
    def security_scheme(self) -> APIKeyCookie:
        """What the OpenAPI document says."""
        return APIKeyCookie(name=NAME, scheme_name="session", description="A session of the page to sign in.")

    async def __call__(self, connection: HTTPConnection) -> Actor | None:
        """Who sends the request, where it has a session.

        Raises:
            RefusedCredentialError: the session is over, or was never there.
            HTTPException, WebSocketException: a page that is not ours has made the browser send it (403).
            ComponentUnavailableError: redis, which has the sessions, does not answer.
        """
        session_id = session_id_in(connection)
        if session_id is None:
            return None
        refuse_foreign(connection)
        return (await self.person(session_id)).actor

    async def person(self, session_id: str) -> Person:
        """Whose session it is.

        Raises:
            RefusedCredentialError: it is over, or was never there.
            ComponentUnavailableError: redis, which has the sessions, does not answer.
        """
        session = await store_of(get_plugin_manager()).find(session_id, time())
        if session is None:
            raise RefusedCredentialError("a session is over, or was never there", is_guess=False)
        person = self._person(session)
        if person is None or person.version != session.version:
            raise RefusedCredentialError(
                "a session is of a user or a provider who was removed from the settings, or changed there",
                is_guess=False,
            )
        return person

    def _person(self, session: Session) -> Person | None:
        if session.kept is None:
            user = self._users.get(session.key)
            return None if user is None else user.person
        provider = self._providers.get(session.kept.provider)
        return None if provider is None else provider.person_of(session.kept)

    def sign_in_url(self, connection: HTTPConnection) -> str:
        """The page, and the way back to what the browser has asked for."""
        return with_way_back(connection, config.SIGN_IN_URL)

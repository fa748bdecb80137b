"""The page to sign in, and signing out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opa import ComponentUnavailableError, RefusedCredentialError, audit, config, get_plugin_manager
from opa.plugins.access_sessions.answers import foreign_form, unavailable, without_tls
from opa.plugins.access_sessions.authenticator import Sessions
from opa.plugins.access_sessions.cookie import delete_session, former_session
from opa.plugins.access_sessions.pages import Ways, page, sign_in_page, signed_in_page
from opa.plugins.access_sessions.paths import own_path, prefix
from opa.plugins.access_sessions.people import Person
from opa.plugins.access_sessions.store import store_of


class Signing:
    """The routes.

    Args:
        sessions: knows whose session one is.
        ways: in which people sign in.
    """

    def __init__(self, sessions: Sessions, ways: Ways) -> None:
        self._sessions = sessions
        self._ways = ways

    async def show(self, request: Request) -> Response:
        """How to sign in; to who is signed in, the button to sign out."""
        if (refused := without_tls(request)) is not None:
            return refused
        session_id = former_session(request)
        try:
            person = None if session_id is None else await self._whose(session_id)
        except ComponentUnavailableError as error:
            return unavailable(error)
        if person is not None:
            return page(signed_in_page(request, person.shown))
        back = own_path(request.query_params.get("next", "")) or ""
        return page(sign_in_page(request, self._ways, back=back))

    async def sign_out(self, request: Request) -> Response:
        """End the session of the browser."""
        if (refused := foreign_form(request)) is not None:
            return refused
        session_id = former_session(request)
        if session_id is not None:
            try:
                person = await self._whose(session_id)
                has_ended = await store_of(get_plugin_manager()).end(session_id)
            except ComponentUnavailableError as error:
                return unavailable(error)  # the browser keeps what it needs to try again
            if person is not None and has_ended:
                audit("sessions.end", who=person.actor.id, request=request)
        response = RedirectResponse(prefix(request) + config.SIGN_IN_URL, 303)
        delete_session(response, request)
        return response

    async def _whose(self, session_id: str) -> Person | None:
        """Whose session it is; None where it is over."""
        try:
            return await self._sessions.person(session_id)
        except RefusedCredentialError:
            return None

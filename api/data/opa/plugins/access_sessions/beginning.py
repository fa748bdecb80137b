"""Begins a session, for whoever has proved who it is."""

from __future__ import annotations

from time import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opa import audit, config, get_plugin_manager
from opa.plugins.access_sessions.cookie import former_session, set_session
from opa.plugins.access_sessions.paths import prefix
from opa.plugins.access_sessions.people import Person
from opa.plugins.access_sessions.store import store_of


async def begin_session(request: Request, person: Person, back: str) -> Response:
    """Give the browser a session, and send it back to where it came from.

    Args:
        request: that proves it.
        person: who it is.
        back: one of our paths; empty for the page to sign in.

    Raises:
        ComponentUnavailableError: redis, which has the sessions, does not answer.
    """
    store = store_of(get_plugin_manager())
    former = former_session(request)
    session_id = await store.begin(person.key, person.version, time(), former, person.kept)
    response = RedirectResponse(back or prefix(request) + config.SIGN_IN_URL, 303)
    set_session(response, request, session_id)
    email = person.actor.claims.get("email")
    audit("sessions.begin", who=person.actor.id, request=request, **({"email": email} if email else {}))
    return response

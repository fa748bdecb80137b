"""Answers of the pages to what does not go well."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from opa import ComponentUnavailableError, is_from_own_page, log
from opa.plugins.access_sessions.cookie import may_have_session
from opa.plugins.access_sessions.origin import REFUSED
from opa.plugins.access_sessions.pages import page, problem_page

RETRY: Mapping[str, str] = {"Retry-After": "2"}

_GONE = "Nobody can sign in or out at this moment. Try again later."
_PLAIN = "Signing in needs https. Over http it is possible on this machine, and with ENV=dev."


def without_tls(request: Request) -> Response | None:
    """The answer to a browser that could not have a session."""
    return None if may_have_session(request) else plain()


def plain() -> Response:
    """The same."""
    return page(problem_page(_PLAIN), 403)


def foreign_form(request: Request) -> Response | None:
    """The answer to a form that does not come from a page of ours, or not over TLS."""
    if (refused := without_tls(request)) is not None:
        return refused
    return None if is_from_own_page(request) else page(problem_page(f"Refused: {REFUSED}."), 403)


def unavailable(error: ComponentUnavailableError) -> Response:
    """The answer where redis, which has the sessions, does not answer."""
    log.warning("nobody can sign in or out: {}", error.problem)
    return page(problem_page(_GONE), 503, RETRY)

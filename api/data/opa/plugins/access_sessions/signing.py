"""Signs people in and out: what the forms of the pages send."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opa import ComponentUnavailableError, RefusedCredentialError, attempt, audit, config, get_plugin_manager, log
from opa.plugins.access_sessions.authenticator import Sessions, actor_of
from opa.plugins.access_sessions.cookie import delete_session, may_have_session, session_id_in, set_session
from opa.plugins.access_sessions.origin import REFUSED, is_own
from opa.plugins.access_sessions.pages import page, problem_page, sign_in_page, signed_in_page
from opa.plugins.access_sessions.passwords import LONGEST, PasswordCheck, TooManyError
from opa.plugins.access_sessions.paths import own_path, prefix
from opa.plugins.access_sessions.store import store_of
from opa.plugins.access_sessions.users import User

MAX_BODY = 16 * 1024
FORM = "application/x-www-form-urlencoded"
RETRY = {"Retry-After": "2"}

_WRONG = "The user or the password is wrong."
_WAIT = "There were too many wrong passwords. Try again later."
_BUSY = "Too many people sign in at this moment. Try again in a few seconds."
_GONE = "Nobody can sign in or out at this moment. Try again later."
_PLAIN = "Signing in needs https. Over http it is possible on this machine, and with ENV=dev."


class Signing:
    """The routes.

    Args:
        users: of the settings.
        sessions: knows whose session one is.
    """

    def __init__(self, users: Mapping[str, User], sessions: Sessions) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = PasswordCheck({user.name: user.password for user in users.values()})

    async def show(self, request: Request) -> Response:
        """The form; to who is signed in, the button to sign out."""
        if not may_have_session(request):
            return page(problem_page(_PLAIN), 403)
        session_id = _former(request)
        try:
            user = None if session_id is None else await self._whose(session_id)
        except ComponentUnavailableError as error:
            return _unavailable(error)
        if user is not None:
            return page(signed_in_page(request, user.name))
        return page(sign_in_page(request, back=own_path(request.query_params.get("next", "")) or ""))

    async def sign_in(self, request: Request) -> Response:
        """Begin a session, if the password is right, and send the browser back to where it came from."""
        if (refused := _refused(request)) is not None:
            return refused
        form = await _form(request)
        if form is None:
            return page(problem_page("This is not what the form sends."), 400)
        name, back = form.get("user", ""), own_path(form.get("next", "")) or ""
        try:
            user = await self._user(request, name, form.get("password", ""))
        except (RefusedCredentialError, TooManyError, HTTPException) as error:
            problem, status, headers = _problem(error)
            return page(sign_in_page(request, back=back, user=name, problem=problem), status, headers)
        try:
            store = store_of(get_plugin_manager())
            session_id = await store.begin(user.name, user.version, time(), _former(request))
        except ComponentUnavailableError as error:
            return _unavailable(error)
        response = RedirectResponse(back or prefix(request) + config.SIGN_IN_URL, 303)
        set_session(response, request, session_id)
        audit("sessions.begin", who=actor_of(user).id, request=request)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session of the browser."""
        if (refused := _refused(request)) is not None:
            return refused
        session_id = _former(request)
        if session_id is not None:
            try:
                user = await self._whose(session_id)
                has_ended = await store_of(get_plugin_manager()).end(session_id)
            except ComponentUnavailableError as error:
                return _unavailable(error)  # the browser keeps what it needs to try again
            if user is not None and has_ended:
                audit("sessions.end", who=actor_of(user).id, request=request)
        response = RedirectResponse(prefix(request) + config.SIGN_IN_URL, 303)
        delete_session(response, request)
        return response

    async def _whose(self, session_id: str) -> User | None:
        """Whose session it is; None where it is over."""
        try:
            return await self._sessions.user(session_id)
        except RefusedCredentialError:
            return None

    async def _user(self, request: Request, name: str, password: str) -> User:
        """The user whose password it is. Every attempt comes through here, and counts where it is wrong.

        Raises:
            RefusedCredentialError: it is that of none.
            TooManyError: too many passwords are being compared.
            HTTPException: 429, there were too many wrong ones of this address, or of it for this name.
        """
        async with attempt(request, f"user:{name}"):
            if len(password) > LONGEST or not await self._passwords.is_right(name, password):
                # People type their password where the name belongs: one that is not known is not logged.
                whose = f"of user '{name}'" if name in self._users else "of an unknown user"
                raise RefusedCredentialError(f"a wrong password {whose}")
        return self._users[name]


def _refused(request: Request) -> Response | None:
    """The answer to a form that does not come from a page of ours, or not over TLS."""
    if not may_have_session(request):
        return page(problem_page(_PLAIN), 403)
    return None if is_own(request) else page(problem_page(f"Refused: {REFUSED}."), 403)


def _problem(error: Exception) -> tuple[str, int, Mapping[str, str]]:
    """Why someone is not signed in: the text for the page, the status and the headers."""
    if isinstance(error, HTTPException):  # there were too many wrong passwords
        return _WAIT, error.status_code, error.headers or {}
    return (_BUSY, 503, RETRY) if isinstance(error, TooManyError) else (_WRONG, 403, {})


def _former(request: Request) -> str | None:
    try:
        return session_id_in(request)
    except RefusedCredentialError:
        return None


def _unavailable(error: ComponentUnavailableError) -> Response:
    log.warning("nobody can sign in or out: {}", error.problem)
    return page(problem_page(_GONE), 503, RETRY)


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of the form; None where it is none, is too large, or has a field twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()} if all(len(v) == 1 for v in fields.values()) else None

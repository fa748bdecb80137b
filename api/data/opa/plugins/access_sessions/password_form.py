"""Signs in people of the setting USERS, by what the form of the page sends."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opa import ComponentUnavailableError, RefusedCredentialError, attempt, get_plugin_manager
from opa.plugins.access_sessions.answers import RETRY, foreign_form, unavailable
from opa.plugins.access_sessions.beginning import begin_session
from opa.plugins.access_sessions.pages import Ways, page, problem_page, sign_in_page
from opa.plugins.access_sessions.passwords import LONGEST, PasswordCheck, TooManyError
from opa.plugins.access_sessions.paths import own_path
from opa.plugins.access_sessions.store import store_of
from opa.plugins.access_sessions.users import User

MAX_BODY = 16 * 1024
FORM = "application/x-www-form-urlencoded"

_WRONG = "The user or the password is wrong."
_WAIT = "There were too many wrong passwords. Try again later."
_BUSY = "Too many people sign in at this moment. Try again in a few seconds."


class PasswordForm:
    """The route.

    Args:
        users: of the settings.
        ways: in which people sign in, for the page that tells what was wrong.
    """

    def __init__(self, users: Mapping[str, User], ways: Ways) -> None:
        self._users = users
        self._ways = ways
        self._passwords = PasswordCheck({user.name: user.password for user in users.values()})

    async def sign_in(self, request: Request) -> Response:
        """Begin a session, if the password is right, and send the browser back to where it came from."""
        if (refused := foreign_form(request)) is not None:
            return refused
        form = await _form(request)
        if form is None:
            return page(problem_page("This is not what the form sends."), 400)
        name, back = form.get("user", ""), own_path(form.get("next", "")) or ""
        try:
            return await self._begun(request, name, form.get("password", ""), back)
        except ComponentUnavailableError as error:
            return unavailable(error)
        except (RefusedCredentialError, TooManyError, HTTPException) as error:
            problem, status, headers = _problem(error)
            html = sign_in_page(request, self._ways, back=back, user=name, problem=problem)
            return page(html, status, headers)

    async def _begun(self, request: Request, name: str, password: str, back: str) -> Response:
        """The answer with a session, if it is the password. Each attempt comes through here, and counts if it is wrong.

        Where redis takes no session, none counts, and a wrong one is answered as a right one is: else the answer, or
        when one has to wait, would tell which is right.

        Raises:
            ComponentUnavailableError: redis, which has the sessions, does not answer, or takes none.
            RefusedCredentialError: it is that of none.
            TooManyError: too many passwords are being compared.
            HTTPException: 429, there were too many wrong ones of this address, or of it for this name.
        """
        async with attempt(request, f"user:{name}"):
            if len(password) > LONGEST or not await self._passwords.is_right(name, password):
                # People type their password where the name belongs: one that is not known is not logged.
                whose = f"of user '{name}'" if name in self._users else "of an unknown user"
                await store_of(get_plugin_manager()).see_that_it_takes_sessions()
                raise RefusedCredentialError(f"a wrong password {whose}")
            return await begin_session(request, self._users[name].person, back)


def _problem(error: Exception) -> tuple[str, int, Mapping[str, str]]:
    """Why someone is not signed in: the text for the page, the status and the headers."""
    if isinstance(error, HTTPException):  # there were too many wrong passwords
        return _WAIT, error.status_code, error.headers or {}
    return (_BUSY, 503, RETRY) if isinstance(error, TooManyError) else (_WRONG, 403, {})


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

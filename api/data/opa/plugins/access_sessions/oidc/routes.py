"""The routes of a provider: to it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from time import time
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opa import ComponentUnavailableError, RefusedCredentialError, attempt, get_plugin_manager, log
from opa.jwt import RemoteKeys
from opa.plugins.access_sessions.answers import RETRY, plain, unavailable, without_tls
from opa.plugins.access_sessions.beginning import begin_session
from opa.plugins.access_sessions.cookie import flow_in, is_encrypted, set_flow
from opa.plugins.access_sessions.oidc.exchange import Exchange, ProviderError
from opa.plugins.access_sessions.oidc.flow import LIFETIME, Flow, Kept, begin, resume
from opa.plugins.access_sessions.oidc.id_token import claims_of
from opa.plugins.access_sessions.oidc.metadata import Metadata, fetch_metadata
from opa.plugins.access_sessions.oidc.provider import NotAllowedError, Provider
from opa.plugins.access_sessions.pages import Ways, page, sign_in_page
from opa.plugins.access_sessions.paths import own_path, prefix
from opa.plugins.access_sessions.people import Person
from opa.plugins.access_sessions.store import store_of

REFRESH = 600
"""Seconds after which what a provider says of itself is fetched again."""
KEEP = 86400
"""Seconds that it is used while it cannot be fetched."""
LONGEST_CODE = 4096
LONGEST_SHOWN = 200

_WAIT = "There were too many attempts to sign in. Try again later."
_WRONG = "You could not be signed in. Begin again."
_NO_HEADERS: Mapping[str, str] = {}
_TEMPORARY = frozenset({"server_error", "temporarily_unavailable"})


class ProviderAnswerError(RefusedCredentialError):
    """The provider has sent the browser back with an error (RFC 6749, section 4.1.2.1)."""

    def __init__(self, provider: str, error: str, description: str) -> None:
        # Of an attempt of this browser, and yet written by anybody: it has passed through the browser.
        self.said = ": ".join(filter(None, (_shown(error), _shown(description))))
        self.is_temporary = error in _TEMPORARY
        super().__init__(f"the provider {provider} does not sign a user in: {self.said}", is_guess=False)


class ProviderRoutes:
    """Those of one provider.

    Args:
        provider: of the settings.
        ways: in which people sign in, for the page that tells what was wrong.
    """

    def __init__(self, provider: Provider, ways: Ways) -> None:
        self._provider = provider
        self._ways = ways
        self._exchange = Exchange(provider)
        fetch = partial(fetch_metadata, provider.issuer)
        self._keys = RemoteKeys[Metadata](
            provider.issuer, fetch, refresh=REFRESH, keep=KEEP, otherwise="Nobody can sign in there"
        )

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider, where the person signs in."""
        if (refused := self._without_tls(request)) is not None:
            return refused
        back = own_path(request.query_params.get("next", "")) or ""
        try:
            metadata = await self._metadata()
        except ProviderError as error:
            problem, status, headers = self._problem(error)
            return page(sign_in_page(request, self._ways, back=back, problem=problem), status, headers)
        kept, flow = begin(self._provider.name, back, Kept.from_text(flow_in(request)), time())
        parameters = {
            "response_type": "code",
            "client_id": self._provider.settings["CLIENT_ID"],
            "redirect_uri": self._redirect_url(request),
            "scope": " ".join(self._provider.settings["REQUESTED_SCOPES"]),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        url = metadata.authorization_endpoint
        response = RedirectResponse(f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}", 303)
        response.headers["Cache-Control"] = "no-store"
        set_flow(response, request, str(kept), LIFETIME)
        return response

    async def callback(self, request: Request) -> Response:
        """Begin a session for whom the provider has sent back, if the person may sign in."""
        query = request.query_params
        # The access log, which takes it from there when the answer begins, is not to have the code.
        request.scope["query_string"] = b""
        if (refused := self._without_tls(request)) is not None:
            return refused
        kept, state = Kept.from_text(flow_in(request)), _once(query, "state")
        back = own_path(kept.back) or "" if kept is not None and state.startswith(f"{kept.flow}.") else ""
        try:
            # Nobody knows who it is: it counts for the address alone, and once for each state.
            subject = f"oidc:{sha256(state.encode()).hexdigest()}"
            async with attempt(request, subject, kind="oidc", can_be_guessed=False):
                flow = resume(self._provider.name, state, kept, time())
                metadata = await self._metadata()
                code = self._code(query, metadata)
                # Anybody may begin as many attempts as they like: redis keeps only those for which there is a code.
                await self._use_up(state)
                person = await self._person(request, metadata, code, flow)
            return await begin_session(request, person, back)
        except ComponentUnavailableError as error:
            return unavailable(error)
        except (RefusedCredentialError, HTTPException, ProviderError) as error:
            problem, status, headers = self._problem(error)
            return page(sign_in_page(request, self._ways, back=back, problem=problem), status, headers)

    def _without_tls(self, request: Request) -> Response | None:
        """The answer to a browser that could not have a session.

        Where it is sent back by TLS and we see none, a proxy has put its own `Host: localhost` in the place of the
        name: the cookie would go through the network unencrypted.
        """
        is_sent_by_tls = (self._provider.settings["REDIRECT_URL"] or "").startswith("https://")
        return plain() if is_sent_by_tls and not is_encrypted(request) else without_tls(request)

    async def _use_up(self, state: str) -> None:
        """Take an answer once: also of two that come at the same time, the second is refused.

        Raises:
            RefusedCredentialError: it was taken.
            ComponentUnavailableError: redis, which knows, does not answer.
        """
        if not await store_of(get_plugin_manager()).use_once(state, 2 * LIFETIME):
            raise RefusedCredentialError("an answer comes a second time")

    def _code(self, query: QueryParams, metadata: Metadata) -> str:
        """What the provider has given the browser.

        Raises:
            RefusedCredentialError: it is no answer of this provider.
            ProviderAnswerError: the provider says that there is nobody.
        """
        issuer, error, code = (_once(query, name) for name in ("iss", "error", "code"))
        if issuer != self._provider.issuer and (metadata.names_issuer or "iss" in query):
            raise RefusedCredentialError("an answer is of another provider, by iss")
        if error:
            raise ProviderAnswerError(self._provider.name, error, _once(query, "error_description"))
        if not 0 < len(code) <= LONGEST_CODE:
            raise RefusedCredentialError("an answer has no code")
        return code

    async def _person(self, request: Request, metadata: Metadata, code: str, flow: Flow) -> Person:
        """Whom the provider has sent back.

        Raises:
            RefusedCredentialError: it cannot be said, or may not sign in.
            ProviderError: the provider cannot be asked.
        """
        text = await self._exchange.id_token(metadata, code, flow.verifier, self._redirect_url(request))
        try:
            claims = await claims_of(
                text,
                issuer=self._provider.issuer,
                client_id=self._provider.settings["CLIENT_ID"],
                nonce=flow.nonce,
                keys=self._keys,
            )
        except ComponentUnavailableError as gone:
            raise ProviderError(gone.problem) from gone
        return self._provider.person(claims)

    async def _metadata(self) -> Metadata:
        try:
            return await self._keys.current()
        except ComponentUnavailableError as error:
            raise ProviderError(error.problem) from error

    def _redirect_url(self, request: Request) -> str:
        """Where the provider sends the browser back, letter by letter as it is registered there."""
        given = self._provider.settings["REDIRECT_URL"]
        if given is not None:
            return str(given)
        # TRUSTED_HOSTS has let this host pass, or it is development.
        path = self._ways.callback_path(self._provider.name)
        return f"{request.url.scheme}://{request.url.netloc}{prefix(request)}{path}"

    def _problem(self, error: Exception) -> tuple[str, int, Mapping[str, str]]:
        """Why someone is not signed in: the text for the page, the status and the headers."""
        label = self._provider.label
        match error:
            case NotAllowedError():
                return f"{label} knows you, but you may not sign in here.", 403, {}
            case HTTPException():  # there were too many wrong ones
                return _WAIT, error.status_code, error.headers or {}
            case ProviderAnswerError():
                status, headers = (503, RETRY) if error.is_temporary else (403, _NO_HEADERS)
                return f"{label} has not signed you in. It says: {error.said}", status, headers
            case ProviderError():
                log.warning("nobody can sign in with the provider {}: {}", self._provider.name, error)
                return f"{label} cannot be asked at this moment. Try again later.", 503, RETRY
        return _WRONG, 403, {}


def _once(query: QueryParams, name: str) -> str:
    """What the query has under a name; empty where it has nothing, or several."""
    values = query.getlist(name)
    return values[0] if len(values) == 1 else ""


def _shown(text: str) -> str:
    """What others have written, as a line of text that is not long."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_SHOWN]).strip()

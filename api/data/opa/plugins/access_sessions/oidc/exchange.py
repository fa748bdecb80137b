"""Exchanges the code that a provider has given the browser for the token that says who it is."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import quote_plus

from anyio import CapacityLimiter, to_thread

from opa import RefusedCredentialError
from opa.jwt import DownloadError, post_form
from opa.plugins.access_sessions.oidc.metadata import Metadata
from opa.plugins.access_sessions.oidc.provider import Provider

TIMEOUT = 5.0
"""Seconds for a provider to answer, those included in which others wait for it."""
MAX_CONCURRENT = 8
"""Codes of a provider that a process exchanges at the same time, each in a thread."""

_OURS = frozenset({"invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type"})
"""Errors of RFC 6749, section 5.2, that no other code would help with."""


class ProviderError(Exception):
    """The provider does not answer, or not as it should; the message says why, and has no secret."""


class Exchange:
    """With one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._limiter = CapacityLimiter(MAX_CONCURRENT)

    async def id_token(self, metadata: Metadata, code: str, verifier: str, redirect_url: str) -> str:
        """The token for a code.

        Args:
            metadata: of the provider.
            code: that it has given the browser.
            verifier: of the attempt.
            redirect_url: where the browser was sent back to.

        Raises:
            RefusedCredentialError: the code is wrong, was used, or is for another client.
            ProviderError: the provider cannot say.
        """
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        client_id, secret = self._provider.settings["CLIENT_ID"], self._provider.settings["CLIENT_SECRET"]
        if metadata.takes_basic:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": client_id, "client_secret": secret}
        status, answer = await self._post(metadata.token_endpoint, fields, headers)
        token = answer.get("id_token") if isinstance(answer, Mapping) else None
        if status == 200 and isinstance(token, str):
            return token
        error = answer.get("error") if isinstance(answer, Mapping) else None
        if error == "invalid_grant":
            raise RefusedCredentialError(f"the provider {self._provider.name} does not take a code")
        raise ProviderError(_why(status, error))

    async def _post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, Any]:
        post = partial(post_form, url, fields, monotonic() + TIMEOUT, headers)
        try:
            async with asyncio.timeout(TIMEOUT + 1):
                return await to_thread.run_sync(post, abandon_on_cancel=True, limiter=self._limiter)
        except DownloadError as error:
            raise ProviderError(str(error)) from error
        except TimeoutError as error:
            raise ProviderError(f"{url} did not answer in time") from error


def _why(status: int, error: Any) -> str:
    if status == 200:
        return "it answers without an id_token"
    if isinstance(error, str) and error in _OURS:
        return f"it answers {error}: CLIENT_ID, CLIENT_SECRET or REDIRECT_URL are not as they are registered there"
    return f"it answers {status} to a code"

"""The authenticator: from the header of a request to its actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import time
from types import MappingProxyType
from typing import Any, Self

from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from opa import Actor, RefusedCredentialError
from opa.jwt import (
    Keys,
    RemoteKeys,
    SecretKey,
    Signatures,
    Token,
    check_audience,
    check_required,
    check_times,
    fetch_keys,
    read,
    scopes_in,
    subject,
)

API_KEY_PREFIX = "opa_"
"""Begins what is an API key, and no token."""


@dataclass(frozen=True)
class Issuer:
    """One of JWT_ISSUERS.

    Attributes:
        settings: its keys in upper case, with all defaults.
        keys: with which its tokens are signed.
        signatures: verifies them.
    """

    settings: Mapping[str, Any]
    keys: Keys
    signatures: Signatures

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An issuer; nothing is fetched yet."""
        return cls(settings, _keys(settings), Signatures(settings["ALGORITHMS"]))

    async def actor(self, token: Token) -> Actor:
        """Who is calling with a token of this issuer.

        Raises:
            RefusedCredentialError: it is not of this issuer, not for us, or not valid now.
            ComponentUnavailableError: the keys of the issuer cannot be had.
        """
        if token.algorithm not in self.signatures.algorithms:
            raise RefusedCredentialError("a token is signed in a way that the issuer's ALGORITHMS do not have")
        # In the event loop: 0.1 ms, and 0.6 ms with ES384 or ES512. To hand it to a thread and back takes as long.
        self.signatures.verify(token, await self.keys.find(token.kid, token.algorithm))
        check_times(token.claims, time(), self.settings["LEEWAY"])
        check_audience(token.claims, self.settings["AUDIENCE"])
        check_required(token.claims, self.settings["CLAIMS"])
        scopes = scopes_in(token.claims, self.settings["SCOPES_CLAIM"], self.settings["SCOPES_PREFIX"])
        return Actor(
            id=f"{self.settings['ISSUER']}|{subject(token.claims)}",
            kind="jwt",
            scopes=scopes | frozenset(self.settings["SCOPES"]),
            claims=MappingProxyType(dict(token.claims)),
        )


class JwtAuthenticator:
    """Finds out who is calling by `Authorization: Bearer TOKEN`, where the token is a JWT.

    Args:
        issuers: whose tokens are good.
    """

    kind = "jwt"
    challenge = "Bearer"
    security_scheme = HTTPBearer(
        scheme_name="jwt", bearerFormat="JWT", description="A JSON Web Token of the issuer", auto_error=False
    )

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._issuers = {issuer.settings["ISSUER"]: issuer for issuer in issuers}
        self.may_be_unavailable = any(issuer.settings["SECRET"] is None for issuer in self._issuers.values())

    @classmethod
    def from_settings(cls, settings: Iterable[Mapping[str, Any]]) -> Self:
        """That of the issuers in JWT_ISSUERS."""
        return cls([Issuer.from_settings(issuer) for issuer in settings])

    async def __call__(self, connection: HTTPConnection) -> Actor | None:
        """Who is calling; None where there is no JWT.

        Raises:
            RefusedCredentialError: the token is no good.
            ComponentUnavailableError: the keys of its issuer cannot be had.
        """
        text = bearer_token(connection)
        if text is None or text.startswith(API_KEY_PREFIX) or text.count(".") != 2:
            return None
        token = read(text)
        named = token.claims.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise RefusedCredentialError("a token is of an issuer that is not in JWT_ISSUERS, letter by letter")
        return await issuer.actor(token)


def bearer_token(connection: HTTPConnection) -> str | None:
    """What the header Authorization has behind `Bearer`; None where it has something else, or is there twice."""
    headers = connection.headers.getlist("Authorization")
    scheme, _, text = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    return text.strip() if scheme.lower() == "bearer" else None


def _keys(settings: Mapping[str, Any]) -> Keys:
    if settings["SECRET"] is not None:
        return SecretKey(settings["SECRET"])
    issuer = settings["ISSUER"]
    fetch = partial(fetch_keys, issuer, settings["JWKS_URL"])
    return RemoteKeys(issuer, fetch, refresh=settings["JWKS_REFRESH"], keep=settings["JWKS_KEEP"])

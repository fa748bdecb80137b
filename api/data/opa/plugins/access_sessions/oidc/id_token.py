"""The token that says who a person is: verified, and for us (OpenID Connect Core, section 3.1.3.7)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from time import time
from typing import Any, Final

from opa import RefusedCredentialError
from opa.jwt import RemoteKeys, Signatures, check_audience, check_times, read, subject
from opa.plugins.access_sessions.oidc.metadata import Metadata

LEEWAY = 60
"""Seconds that clocks may differ."""
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "Ed448", "EdDSA"),
)
"""With published keys. Those with a secret, and none, are no proof."""
SIGNATURES = Signatures(ALGORITHMS)


async def claims_of(
    text: str, *, issuer: str, client_id: str, nonce: str, keys: RemoteKeys[Metadata]
) -> Mapping[str, Any]:
    """What a token says.

    Args:
        text: the token.
        issuer: who has to have signed it.
        client_id: who it has to be for.
        nonce: of the attempt that it has to be for.
        keys: of the issuer.

    Raises:
        RefusedCredentialError: it is not as it has to be.
        ComponentUnavailableError: the keys cannot be had.
    """
    token = read(text)
    if token.algorithm not in ALGORITHMS:
        raise RefusedCredentialError("a token is not signed with a published key")
    SIGNATURES.verify(token, await keys.find(token.kid, token.algorithm))
    claims = token.claims
    if claims.get("iss") != issuer:
        raise RefusedCredentialError("a token is of another issuer")
    check_audience(claims, [client_id])
    _check_party(claims, client_id)
    check_times(claims, time(), LEEWAY)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), nonce.encode()):
        raise RefusedCredentialError("a token is of another attempt, by its nonce")
    subject(claims)
    return claims


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """See that a token for several was given to us."""
    party, audience = claims.get("azp"), claims.get("aud")
    if party is None and isinstance(audience, list) and len(audience) > 1:
        raise RefusedCredentialError("a token for several does not say whom it was given to, by azp")
    if party is not None and party != client_id:
        raise RefusedCredentialError("a token was given to another client, by azp")

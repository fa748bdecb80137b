"""What a provider says of itself: where people sign in, where a code is exchanged, and its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opa.jwt import DownloadError, PublishedKeys, discover, fetch_keys, url_in

_BASIC = "client_secret_basic"


@dataclass(frozen=True)
class Metadata(PublishedKeys):
    """OpenID Connect Discovery, section 3, as far as it is used here.

    Attributes:
        authorization_endpoint: where the browser is sent.
        token_endpoint: where a code is exchanged for a token.
        takes_basic: whether it takes our secret in a header, and not in the form.
        names_issuer: whether it says in its answer who it is (RFC 9207).
    """

    authorization_endpoint: str
    token_endpoint: str
    takes_basic: bool
    names_issuer: bool


def fetch_metadata(issuer: str, deadline: float) -> Metadata:
    """That of a provider, as it is now.

    Args:
        issuer: its URL.
        deadline: when all of it has to be there, by `time.monotonic`.

    Raises:
        DownloadError: it cannot be had, or is no use.
    """
    document = discover(issuer, deadline)
    authorization, token, jwks = (
        url_in(document, name, issuer) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    )
    if "#" in authorization or not (
        authorization.isascii() and authorization.isprintable() and " " not in authorization
    ):
        raise DownloadError(f"{issuer} names no usable URL as authorization_endpoint")
    return Metadata(
        fetch_keys(issuer, jwks, deadline).keys,
        authorization,
        token,
        takes_basic=_takes_basic(document),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _takes_basic(document: Mapping[str, Any]) -> bool:
    methods = document.get("token_endpoint_auth_methods_supported")
    return not isinstance(methods, list) or _BASIC in methods

"""What an issuer says of itself (OpenID Connect Discovery): where its keys are, unless a setting does, and more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opa.jwt.download import DownloadError, get_json
from opa.jwt.keys import PublishedKeys, published_keys

WELL_KNOWN = "/.well-known/openid-configuration"


def fetch_keys(issuer: str, jwks_url: str | None, deadline: float) -> PublishedKeys:
    """The keys of an issuer as they are now.

    Args:
        issuer: as its tokens have it.
        jwks_url: where its keys are; None where it says so itself.
        deadline: when they have to be there, by `time.monotonic`.

    Raises:
        DownloadError: they cannot be had.
    """
    url = jwks_url or url_in(discover(issuer, deadline), "jwks_uri", issuer)
    try:
        return published_keys(get_json(url, deadline), issuer)
    except ValueError as error:
        raise DownloadError(f"{url} is no JWKS: {error}") from error


def discover(issuer: str, deadline: float) -> Mapping[str, Any]:
    """What an issuer says of itself.

    Args:
        issuer: its URL.
        deadline: when the document has to be there, by `time.monotonic`.

    Raises:
        DownloadError: it cannot be had, or is of another issuer.
    """
    place = issuer.removesuffix("/") + WELL_KNOWN
    document: Any = get_json(place, deadline)
    if not isinstance(document, Mapping) or document.get("issuer") != issuer:
        raise DownloadError(f"{place} is of another issuer")
    return document


def url_in(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """A URL of this document, to which nothing is sent in plain text, but to an issuer on this machine.

    Raises:
        DownloadError: it has none.
    """
    url = document.get(name)
    if not isinstance(url, str) or not _is_safe(url, issuer):
        raise DownloadError(f"{issuer.removesuffix('/')}{WELL_KNOWN} names no https:// URL as {name}")
    return url


def _is_safe(url: str, issuer: str) -> bool:
    try:
        parts, own = urlsplit(url), urlsplit(issuer)
        return parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", own.hostname) == (
            own.scheme,
            own.hostname,
        )
    except ValueError:
        return False

"""Where the keys of an issuer are: at a URL of the settings, or where the issuer says (OpenID Connect Discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opa.plugins.access_jwt.download import DownloadError, get_json
from opa.plugins.access_jwt.keys import PublishedKeys, published_keys

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
    url = jwks_url or _told_by(issuer, deadline)
    try:
        return published_keys(get_json(url, deadline), issuer)
    except ValueError as error:
        raise DownloadError(f"{url} is no JWKS: {error}") from error


def _told_by(issuer: str, deadline: float) -> str:
    place = issuer.removesuffix("/") + WELL_KNOWN
    document: Any = get_json(place, deadline)
    if not isinstance(document, Mapping) or document.get("issuer") != issuer:
        raise DownloadError(f"{place} is of another issuer")
    url = document.get("jwks_uri")
    if not isinstance(url, str) or not _is_safe(url, issuer):
        raise DownloadError(f"{place} names no https:// URL as jwks_uri")
    return url


def _is_safe(url: str, issuer: str) -> bool:
    """Whether the keys are not to be fetched in plain text, but for an issuer on this machine, for development."""
    try:
        parts, own = urlsplit(url), urlsplit(issuer)
        return parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", own.hostname) == (
            own.scheme,
            own.hostname,
        )
    except ValueError:
        return False

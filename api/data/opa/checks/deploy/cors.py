"""Which pages of other sites may call the api."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.settings.hosts import OF_ANYBODY

_WITHOUT_TLS = ("http://", "ws://", "ftp://")


def open_cors(deployment: Deployment) -> Iterator[Finding]:
    """Whether pages of any site may, since the origin is one that each can have."""
    found = [each for each in deployment.config.ALLOW_ORIGINS if each == "*" or each in OF_ANYBODY]
    if deployment.mode == "api" and found:
        yield Finding(
            f'ALLOW_ORIGINS has "{", ".join(found)}": a page of any site may call this API from the browser of a user'
            " who reaches it",
            where=deployment.config.source("ALLOW_ORIGINS"),
            hint="Name the origins",
        )


def cookies_without_tls(deployment: Deployment) -> Iterator[Finding]:
    """Whether pages may act with a user's cookies that were themselves sent without TLS."""
    config = deployment.config
    found = [each for each in config.ALLOW_ORIGINS if each.startswith(_WITHOUT_TLS)]
    if deployment.mode == "api" and config.ALLOW_CREDENTIALS and found:
        yield Finding(
            f"ALLOW_CREDENTIALS is on for {', '.join(found)}: who can change a page on its way, as there is no TLS,"
            " acts with the cookies of its users",
            where=config.source("ALLOW_ORIGINS"),
            hint="Serve those pages with TLS and write https, or set ALLOW_CREDENTIALS to false",
        )

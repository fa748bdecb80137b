"""What the api shows to everyone, and what it believes of requests."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

PROXIES = "FORWARDED_ALLOW_IPS"
_PAGES = ("DOCS_URL", "REDOC_URL", "OPENAPI_URL")


def open_cors(deployment: Deployment) -> Iterator[Finding]:
    """Whether pages of any site may call the api."""
    if deployment.mode == "api" and "*" in deployment.config.ALLOW_ORIGINS:
        yield Finding(
            'ALLOW_ORIGINS has "*": a page of any site may call this API from the browser of a user who reaches it',
            where=deployment.config.source("ALLOW_ORIGINS"),
            hint="Name the origins",
        )


def public_documentation(deployment: Deployment) -> Iterator[Finding]:
    """Whether the routes are described to everyone."""
    shown = [name for name in _PAGES if deployment.config[name] is not None]
    if deployment.mode == "api" and shown:
        yield Finding(
            f"{', '.join(shown)}: everyone who reaches the API is shown all routes and their parameters",
            where=deployment.config.source(shown[-1]),
            hint="Set them to null",
        )


def any_host(deployment: Deployment) -> Iterator[Finding]:
    """Whether the host of a request is believed, whatever it is."""
    if deployment.mode == "api" and not deployment.config.TRUSTED_HOSTS:
        yield Finding(
            "TRUSTED_HOSTS is empty: the API takes any Host header for its own name, also in the links that it makes",
            where=deployment.config.source("TRUSTED_HOSTS"),
            hint="Name the hosts under which it is reached",
        )


def unknown_proxy(deployment: Deployment) -> Iterator[Finding]:
    """Whether the api knows the proxy at which TLS ends: it serves plain HTTP."""
    if deployment.mode != "api":
        return
    proxies = deployment.environ.get(PROXIES, "").strip()
    where = f"environment variable {PROXIES}"
    hint = "Set it to the address of the proxy that speaks TLS"
    if not proxies:
        problem = (
            "is not set: no proxy is known that speaks TLS, and each request counts as plain HTTP from its address"
        )
        yield Finding(f"{PROXIES} {problem}", where=where, hint=hint)
    elif "*" in proxies.replace(",", " ").split():
        yield Finding(f'{PROXIES} is "*": any client may write its own address and scheme', where=where, hint=hint)

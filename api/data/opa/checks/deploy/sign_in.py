"""Whether those who sign in with a provider are who they should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding


def sign_in_without_tls(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each provider that is asked in plain text, which development alone allows."""
    for name, provider in _providers(deployment):
        if provider.ISSUER.startswith("http://"):
            yield Finding(
                f"people sign in with the provider '{name}' in plain text: anyone on the way can sign in as anybody",
                where=deployment.config.source(f"OIDC_PROVIDERS.{name}.ISSUER"),
                hint="Give it the https:// URL of the provider",
            )


def sign_in_for_everyone(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each provider by whom everyone is let in who has an account there."""
    for name, provider in _providers(deployment):
        if any(rule["EVERYONE"] for rule in provider.ALLOW):
            yield Finding(
                f"everyone with an account at {provider.ISSUER} may sign in",
                where=deployment.config.source(f"OIDC_PROVIDERS.{name}.ALLOW"),
                hint="Say in ALLOW who may, by EMAIL, EMAIL_DOMAIN, SUBJECT or CLAIMS",
            )


def _providers(deployment: Deployment) -> Iterable[tuple[str, Any]]:
    return deployment.config.OIDC_PROVIDERS.items() if deployment.mode == "api" else ()

"""What the api shows to everyone."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

_PAGES = ("DOCS_URL", "REDOC_URL", "OPENAPI_URL")


def public_documentation(deployment: Deployment) -> Iterator[Finding]:
    """Whether the routes are described to everyone."""
    shown = [name for name in _PAGES if deployment.config[name] is not None]
    if deployment.mode == "api" and shown:
        yield Finding(
            f"{', '.join(shown)}: everyone who reaches the API is shown all routes and their parameters",
            where=deployment.config.source(shown[-1]),
            hint="Set them to null",
        )


def ready_details(deployment: Deployment) -> Iterator[Finding]:
    """Whether everyone is told why something is not ready."""
    if deployment.mode == "api" and deployment.config.READY_DETAILS:
        yield Finding(
            "READY_DETAILS is on: everyone who reaches the API is told the names of hosts and modules that do not work",
            where=deployment.config.source("READY_DETAILS"),
            hint="Set it to false; the log has the reasons, and `opa health` shows them",
        )

"""What the api shows to everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

_PAGES: dict[str, Callable[[], tuple[str, ...]]] = {
    "DOCS_URL": lambda: ("core_docs",),
    "REDOC_URL": lambda: ("core_docs",),
    "OPENAPI_URL": lambda: (),
}
"""The settings with their paths, and the plugin whose pages they are, if they are one's."""


def public_documentation(deployment: Deployment) -> Iterator[Finding]:
    """Whether the routes are described to everyone."""
    from opa.http.access.rules import Rules

    rules = Rules(deployment.config.ACCESS, deployment.config.ACCESS_DEFAULT)
    urls = [(name, deployment.config[name], plugins) for name, plugins in _PAGES.items()]
    shown = [name for name, url, plugins in urls if url is not None and rules.for_request(url, plugins).is_open]
    if deployment.mode == "api" and shown:
        yield Finding(
            f"{', '.join(shown)}: everyone who reaches the API is shown all routes and their parameters",
            where=deployment.config.source(shown[-1]),
            hint="Set them to null, or close them with ACCESS",
        )


def ready_details(deployment: Deployment) -> Iterator[Finding]:
    """Whether everyone is told why something is not ready; a port for operating is not everyone's."""
    config = deployment.config
    if deployment.mode == "api" and config.READY_DETAILS and config.OPERATING_PORT is None:
        yield Finding(
            "READY_DETAILS is on: everyone who reaches the API is told the names of hosts and modules that do not work",
            where=config.source("READY_DETAILS"),
            hint="Set it to false; the log has the reasons, and `opa health` shows them",
        )

"""What the api shows to everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from opa.access.scopes import covers
from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.process.container import is_in_container

_PAGES: dict[str, Callable[[], tuple[str, ...]]] = {
    "DOCS_URL": lambda: ("core_docs",),
    "REDOC_URL": lambda: ("core_docs",),
    "OPENAPI_URL": lambda: (),
}
"""The settings with their paths, and the plugin whose pages they are, if they are one's."""
_CONSOLE_SCOPES = ("read", "settings", "source", "runs", "tasks", "schedule")


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


def open_metrics(deployment: Deployment) -> Iterator[Finding]:
    """Whether the metrics are on a port that can be reached from other networks: whoever reaches it may read them.

    All addresses of a container are those of its own network.
    """
    config = deployment.config
    setting = {"api": "OPERATING_PORT", "worker": "METRICS_PORT", "beat": "METRICS_PORT"}.get(deployment.mode)
    if not config.METRICS or not config.METRICS_URL or setting is None or config[setting] is None:
        return
    host = str(config.OPERATING_HOST)
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:  # a name; which address it has is up to the machine
        return
    if address.is_global or (address.is_unspecified and not is_in_container(deployment.environ)):
        yield Finding(
            f"OPERATING_HOST is {host}: whoever reaches port {config[setting]} of this machine is shown the metrics,"
            " with the names of routes, tasks and plugins",
            where=config.source("OPERATING_HOST"),
            hint=f"Set it to 127.0.0.1 or the address of an internal network, or {setting} to null",
        )


def _held_by_everyone(deployment: Deployment) -> Iterator[tuple[str, str, list[str]]]:
    """For each provider where that is set, its issuer, and the scopes of anyone who has an account there."""
    config = deployment.config
    for name, provider in config.OIDC_PROVIDERS.items():
        held = [scope for rule in provider.ALLOW if rule["EVERYONE"] for scope in rule["SCOPES"]]
        yield config.source(f"OIDC_PROVIDERS.{name}.ALLOW"), provider.ISSUER, held


def console_for_everyone(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each provider by whom anyone who has an account there gets to a part of the console."""
    config = deployment.config
    if deployment.mode != "api" or not config.CONSOLE_URL:
        return
    for where, issuer, held in _held_by_everyone(deployment):
        parts = [part for part in _CONSOLE_SCOPES if covers(held, f"console:{part}")]
        if parts:
            yield Finding(
                f"everyone with an account at {issuer} gets into the console at {config.CONSOLE_URL}, with"
                f" console:{', console:'.join(parts)}",
                where=where,
                hint="Give these scopes to people that ALLOW names, or set CONSOLE_URL to null",
            )


def admin_for_everyone(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each provider by whom anyone who has an account there gets to a part of the admin."""
    config = deployment.config
    if deployment.mode != "api" or not config.ADMIN_URL:
        return
    for where, issuer, held in _held_by_everyone(deployment):
        parts = [scope for scope in held if scope == "*" or scope.startswith("admin:")]
        if parts:
            yield Finding(
                f"everyone with an account at {issuer} gets into the admin at {config.ADMIN_URL}, with"
                f" {', '.join(parts)}",
                where=where,
                hint="Give these scopes to people that ALLOW names, or set ADMIN_URL to null",
            )

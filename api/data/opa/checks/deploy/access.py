"""Routes that everyone may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.security.base import SecurityBase

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.settings.access import OPEN
from opa.settings.envs import DEVELOPMENT, current_envs

SHOWN = 3
"""Routes that are named."""


def open_routes(deployment: Deployment) -> Iterator[Finding]:
    """Routes that neither the settings nor the code close, and that no setting says to be open."""
    app, config = deployment.application, deployment.config
    if app is None or deployment.mode != "api" or DEVELOPMENT in current_envs():
        return
    if config.ACCESS_DEFAULT != OPEN or "*" in config.ACCESS:
        return  # everything is closed, or open on purpose
    from opa.http.access.rules import Rules

    # With the second of these, only what ACCESS names is open.
    rule, rule_if_named = app.access_rules_of_routes(), app.access_rules_of_routes(Rules(config.ACCESS, "closed"))
    built_in = app.built_in_routers()
    found = []
    for route, router in app.routes_with_routers():
        path, endpoint = getattr(route, "path_format", None), getattr(route, "endpoint", None)
        if path is None or id(router) in built_in or path == app.openapi_url:
            continue
        is_open = rule(path, endpoint).is_open and not rule_if_named(path, endpoint).is_open
        if is_open and not _has_security(getattr(route, "dependant", None)):
            found.append(path)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield Finding(
            f"everyone who reaches the API may use {', '.join(found[:SHOWN])}{more}",
            where=config.source("ACCESS"),
            hint="Close them with ACCESS or Requires, or say in ACCESS that they are open",
        )


def _has_security(dependant: Any) -> bool:
    """Whether a route has a dependency that asks for a credential of any kind."""
    from opa.http.access.documented import calls_in
    from opa.http.access.requires import RequiredActor

    return any(isinstance(call, RequiredActor | SecurityBase) for call in calls_in(dependant))

"""Build the OpenAPI document of an application."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from opa._compat.fastapi import tested
from opa._compat.fastapi.inclusion import described_leaves, leaves
from opa._util.sources import where_is_function
from opa.current import current
from opa.http.openapi.document import Document, encode
from opa.http.openapi.problems import naming
from opa.loading.conventions import AUTHENTICATORS_GROUP

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from opa.core.manager import PluginManager
    from opa.http.access.documented import SecurityOfRoutes
    from opa.http.access.rules import Rule

FASTAPIS_OWN = FastAPI.openapi


@runtime_checkable
class _WithPlugins(Protocol):
    """An application with plugins, which knows what the settings require of its routes."""

    @property
    def manager(self) -> PluginManager:
        """The plugins."""

    def access_rules_of_routes(self) -> Callable[[str, object], Rule]:
        """Gives what the settings require of a route, by its path and endpoint."""


def is_fastapis_own(app: FastAPI) -> bool:
    """Whether what `app.openapi()` gives is unchanged in each of the ways that FastAPI documents."""
    return "openapi" not in vars(app) and type(app).openapi is FASTAPIS_OWN and not app.openapi_schema


def build(app: FastAPI) -> Document:
    """The document of an application whose `openapi` is FastAPI's own. May take seconds; for any thread.

    Raises:
        OpenApiError: something cannot be described; the message names the route, where it is one.
    """
    with naming(""):
        security = _security_of(app)
        return encode(_in_one_piece(app, security) if tested.problem() else _in_pieces(app, security))


def _security_of(app: FastAPI) -> SecurityOfRoutes | None:
    if not isinstance(app, _WithPlugins) or not app.manager.groups.get(AUTHENTICATORS_GROUP.name):
        return None
    from opa.http.access.documented import SecurityOfRoutes  # only where something authenticates

    config = app.manager.config
    counts_attempts = bool(config.WRONG_ATTEMPTS_PER_ADDRESS or config.WRONG_ATTEMPTS_PER_KEY)
    return SecurityOfRoutes(app.access_rules_of_routes(), app.manager.groups, counts_attempts=counts_attempts)


def _in_pieces(app: FastAPI, security: SecurityOfRoutes | None) -> dict[str, Any]:
    from opa.http.openapi.pieces import described  # which takes names of FastAPI that another version may not have

    return described(app, security)


def _in_one_piece(app: FastAPI, security: SecurityOfRoutes | None) -> dict[str, Any]:
    """What `app.openapi()` gives; by a copy of the application, which keeps it forever."""
    try:
        document = copy.copy(app).openapi()
    except Exception:
        for route, path in leaves([*app.routes, *app.webhooks.routes]):
            methods = ",".join(sorted(getattr(route, "methods", None) or ()))
            endpoint = getattr(route, "endpoint", None)
            with naming(f" for the route {methods} {path}", where_is_function(endpoint) if endpoint else None):
                get_openapi(title="", version="", routes=[route])
        raise
    if security is not None:
        _add_security(document, app, security)
    if current.rate_limits:
        from opa.http.rate_limits.documented import add_answer  # where none is limited, nothing is imported

        for operations, _, _, dependant in _operations(document, app):
            add_answer(operations, dependant)
    return document


def _operations(document: dict[str, Any], app: FastAPI) -> Iterator[tuple[dict[str, Any], str, APIRoute, Any]]:
    """Those of each route in a document, by method, with its path, the route, and what is known of its dependencies."""
    for route, path, dependant in described_leaves(app.routes):
        there = document.get("paths", {}).get(path, {})
        operations = {method: there[method] for method in map(str.lower, route.methods or ()) if method in there}
        if operations:
            yield operations, path, route, dependant


def _add_security(document: dict[str, Any], app: FastAPI, security: SecurityOfRoutes) -> None:
    for operations, path, route, dependant in _operations(document, app):
        if security.add_to(operations, path, route.endpoint, dependant):
            components = document.setdefault("components", {})
            components.setdefault("responses", {}).update(security.responses)
            if security.schemes:
                components.setdefault("securitySchemes", {}).update(security.schemes)

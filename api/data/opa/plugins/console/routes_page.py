"""The page of all routes."""

from __future__ import annotations

from starlette.requests import Request

from opa import config
from opa.introspection import RouteInfo, routes_of
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader


async def context(request: Request, _reader: Reader) -> Context:
    """What the template needs: the routes of the project's plugins, sorted as the query says."""
    every = request.query_params.get("all") == "1"
    by = request.query_params.get("sort", "")
    by = by if by in _KEYS else ""
    routes = [route for route in routes_of(request.app) if every or not route.built_in]
    if by:
        routes.sort(key=_KEYS[by])
    return {"routes": routes, "every": every, "by": by, "docs": config.DOCS_URL}


def _path(route: RouteInfo) -> tuple[str, ...]:
    return route.path, *route.methods


def _plugin(route: RouteInfo) -> tuple[str, ...]:
    return ",".join(route.plugins), *_path(route)


_KEYS = {"path": _path, "plugin": _plugin}

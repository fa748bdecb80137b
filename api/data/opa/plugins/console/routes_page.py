"""The page of all routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request

from opa import config
from opa.introspection import RouteInfo, routes_of
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader

if TYPE_CHECKING:
    from opa.plugins.core_metrics.traffic import Traffic

Row = tuple[RouteInfo, "Traffic | None"]

ORDERS = {"": "In order", "path": "By path", "plugin": "By plugin"}
ORDERS_BY_TRAFFIC = {"requests": "By requests", "errors": "By errors", "p95": "By p95"}


async def context(request: Request, _reader: Reader) -> Context:
    """What the template needs: the routes of the project's plugins, sorted as the query says."""
    every = request.query_params.get("all") == "1"
    by = request.query_params.get("sort", "")
    rows = await with_traffic(route for route in routes_of(request.app) if every or not route.built_in)
    orders = ORDERS | (ORDERS_BY_TRAFFIC if config.METRICS else {})
    if by in _KEYS:
        rows.sort(key=lambda row: _KEYS[by](row[0]))
    elif by in ORDERS_BY_TRAFFIC:
        rows.sort(key=lambda row: getattr(row[1], by, 0), reverse=True)
    return {
        "rows": rows,
        "every": every,
        "by": by if by in orders else "",
        "orders": orders,
        "has_traffic": config.METRICS,
        "docs": config.DOCS_URL,
        "docs_link": docs_link,
    }


async def with_traffic(routes: Iterable[RouteInfo]) -> list[Row]:
    """The routes, each with how much it is used, where METRICS counts that."""
    if not config.METRICS:
        return [(route, None) for route in routes]
    from opa.plugins.core_metrics.traffic import traffic  # only with METRICS

    found = await traffic()
    return [(route, found.get(route.path)) for route in routes]


def docs_link(route: RouteInfo) -> str:
    """Where Swagger UI has it, below the path of the application; empty where it has not."""
    if not (config.DOCS_URL and route.operation_id):
        return ""
    return f"{config.DOCS_URL}#/{quote(route.tag or 'default', safe='')}/{quote(route.operation_id, safe='')}"


def _path(route: RouteInfo) -> tuple[str, ...]:
    return route.path, *route.methods


def _plugin(route: RouteInfo) -> tuple[str, ...]:
    return ",".join(route.plugins), *_path(route)


_KEYS: dict[str, Callable[[RouteInfo], Any]] = {"path": _path, "plugin": _plugin}

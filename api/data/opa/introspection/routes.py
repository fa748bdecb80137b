"""The routes of an application, and the plugins that they are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from opa._util.sources import where_is_function

if TYPE_CHECKING:
    from opa.http.application import Api

Kind = Literal["http", "websocket", "mount"]


@dataclass(frozen=True)
class RouteInfo:
    """A route.

    Attributes:
        path: with parameters in braces: `/orders/{number}`.
        methods: in order; empty for a websocket and a mount.
        kind: `http`, `websocket`, or `mount` for another application below the path.
        plugins: which have added it, in order: mostly one, none for the OpenAPI document.
        built_in: whether all of them come with opa-stack.
        where: `file:line` of its function, or its module.
        summary: as the OpenAPI document has it; empty without one.
        in_schema: whether the OpenAPI document has it.
        tag: the first of those that it has there; empty without one.
        operation_id: its `operationId` there; empty if it is not there.
    """

    path: str
    methods: tuple[str, ...]
    kind: Kind
    plugins: tuple[str, ...]
    built_in: bool
    where: str
    summary: str
    in_schema: bool
    tag: str
    operation_id: str


def routes_of(app: Api) -> list[RouteInfo]:
    """Each route, in the order in which they are tried."""
    built_in = {found.plugin.name for found in app.manager.registry.objects if found.plugin.file.is_built_in}
    return [_info(route, tuple(sorted(plugins)), built_in) for route, plugins in app.routes_with_plugins()]


def _info(route: BaseRoute, plugins: tuple[str, ...], built_in: set[str]) -> RouteInfo:
    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    in_schema = isinstance(route, APIRoute) and route.include_in_schema
    return RouteInfo(
        path=getattr(route, "path", ""),
        methods=tuple(sorted(getattr(route, "methods", None) or ())),
        kind=_kind(route),
        plugins=plugins,
        built_in=built_in.issuperset(plugins),
        where=where_is_function(endpoint) if callable(endpoint) else "",
        summary=getattr(route, "summary", None) or _first_line(getattr(route, "description", "")),
        in_schema=in_schema,
        tag=_first_tag(route) if in_schema else "",
        operation_id=str(getattr(route, "operation_id", None) or getattr(route, "unique_id", "")) if in_schema else "",
    )


def _kind(route: BaseRoute) -> Kind:
    if isinstance(route, WebSocketRoute):
        return "websocket"
    return "mount" if isinstance(route, Mount) else "http"


def _first_tag(route: BaseRoute) -> str:
    tag = next(iter(getattr(route, "tags", None) or ()), "")
    return str(getattr(tag, "value", tag))


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]

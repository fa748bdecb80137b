"""Which route a path leads to: an argument in it may lead to another one than that of the tool."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import compile_path

from opa.introspection import RouteInfo, routes_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_CONVERTOR = re.compile(r"\{(\w+):\w+\}")


@dataclass(frozen=True)
class _Entry:
    route: RouteInfo
    pattern: re.Pattern[str]


class RouteTable:
    """The routes of an application, in the order in which they are tried."""

    def __init__(self, app: ASGIApp) -> None:
        api: Any = app
        self._entries = [
            _Entry(route, _pattern(route)) for route in routes_of(api) if route.kind != "websocket" and route.path
        ]
        self._by_operation = {
            (_CONVERTOR.sub(r"{\1}", entry.route.path), method): entry.route
            for entry in reversed(self._entries)
            for method in entry.route.methods
        }

    def of_operation(self, path: str, method: str) -> RouteInfo | None:
        """The first route of a path as the OpenAPI document has it."""
        return self._by_operation.get((path, method))

    def leads_to(self, route: RouteInfo, path: str, method: str) -> bool:
        """Whether a request for `path` is answered by `route`."""
        for entry in self._entries:
            if entry.pattern.match(path) and (not entry.route.methods or method in entry.route.methods):
                return entry.route == route
        return False


def _pattern(route: RouteInfo) -> re.Pattern[str]:
    if route.kind == "mount":
        return re.compile(re.escape(route.path.rstrip("/")) + "(/|$)") if "{" not in route.path else _below(route.path)
    return compile_path(route.path)[0]


def _below(path: str) -> re.Pattern[str]:
    return re.compile(compile_path(path.rstrip("/"))[0].pattern.removesuffix("$") + "(/|$)")

"""Which of many routes can give the URL for a name."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter

from starlette.routing import BaseRoute, Route, WebSocketRoute

# What gives a URL for the route's own name alone. Others, such as `Mount`, look at more.
_KNOWN = frozenset({Route.url_path_for, WebSocketRoute.url_path_for})


class RouteNames:
    """Routes found by name, in the order in which they were added. A route has the name that it had then."""

    def __init__(self) -> None:
        self._count = 0
        self._named: dict[str, list[tuple[int, BaseRoute]]] = {}
        self._others: list[tuple[int, BaseRoute]] = []

    def add(self, route: BaseRoute) -> None:
        """Put `route` behind those that are there."""
        if isinstance(route, Route | WebSocketRoute) and getattr(route.url_path_for, "__func__", None) in _KNOWN:
            routes = self._named.setdefault(route.name, [])
        else:
            routes = self._others
        routes.append((self._count, route))
        self._count += 1

    def candidates(self, name: str) -> Iterator[BaseRoute]:
        """All routes that may give a URL for `name`."""
        for _, route in merge(self._named.get(name, ()), self._others, key=itemgetter(0)):
            yield route

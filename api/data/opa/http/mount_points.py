"""The routes of an application that lead into another application or a router, each with its plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from starlette.routing import BaseRoute, Host, Mount

from opa._compat.fastapi.inclusion import router_in
from opa.http.routing.route_list import RouteList

RouteWithPlugin = tuple[BaseRoute, str | None]
"""A route, and the plugin that has added it, where that is known."""


class MountPoints:
    """Knows those of one application.

    They are found before the fork, and a list of routes that tells how it has changed is not read again: in a fork each
    route that is touched brings a page of memory to copy.

    Args:
        routes: gives the routes of the application.
        with_plugins: gives the same, each with its plugin.
    """

    def __init__(
        self, routes: Callable[[], Sequence[BaseRoute]], with_plugins: Callable[[], Iterable[RouteWithPlugin]]
    ) -> None:
        self._routes = routes
        self._with_plugins = with_plugins
        self._version: object = None
        self._count = 0
        self._known: list[RouteWithPlugin] = []

    def current(self) -> list[RouteWithPlugin]:
        """Those that there are now, in the order in which they are tried."""
        routes = self._routes()
        if not isinstance(routes, RouteList):
            return self._found()
        if routes.version is not self._version or any(map(leads_on, routes[self._count :])):
            self._known = self._found()
        self._version, self._count = routes.state
        return self._known

    def _found(self) -> list[RouteWithPlugin]:
        return [found for found in self._with_plugins() if leads_on(found[0])]


def leads_on(route: BaseRoute) -> bool:
    """Whether there is an application, or a router that was included, behind a route."""
    return isinstance(route, Mount | Host) or router_in(route) is not None

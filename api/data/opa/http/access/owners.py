"""Which plugins a request belongs to, before it is routed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from opa._compat.fastapi.inclusion import chosen_in, has_frontend_for, has_own_frontend_for

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from opa.core.manager import PluginManager
    from opa.http.contributions import Contributions
    from opa.http.routing.choice import Routes


class Owners:
    """Knows the plugins of the routes of an application.

    Args:
        app: the application.
        manager: its plugins.
        routes: its routes.
        contributions: what each plugin has added to it.
    """

    def __init__(self, app: FastAPI, manager: PluginManager, routes: Routes, contributions: Contributions) -> None:
        self._app = app
        self._manager = manager
        self._routes = routes
        self._contributions = contributions
        self._registry: object = None
        self._modules: dict[str, str | None] = {}

    def of(self, scope: Scope) -> set[str]:
        """The plugins whose route answers the request, or would answer it to another method, or with another slash.

        It may be more than one: a plugin can add a function to the router of another. Empty where no route answers, and
        where nobody knows who has added it.
        """
        scope = dict(scope)  # routes leave their marks in it
        found = self._chosen(scope) or self._chosen_for_slash(scope)
        if found is None:
            return self._with_frontend(scope)
        return self._of_route(*found)

    def by_path_and_endpoint(self) -> dict[tuple[str, int], set[str]]:
        """Those of each route, by its path as the OpenAPI document has it, and the id of its endpoint."""
        found: dict[tuple[str, int], set[str]] = {}
        for route, plugins in self.all():
            key = getattr(route, "path_format", ""), id(getattr(route, "endpoint", None))
            found.setdefault(key, set()).update(plugins)
        return found

    def all(self) -> Iterator[tuple[BaseRoute, set[str]]]:
        """The routes in the order in which they are tried, each with its plugins."""
        for route, router in self._routes.routes_with_routers():
            yield route, self._of(route, router, getattr(route, "endpoint", None))

    def _chosen(self, scope: Scope) -> tuple[BaseRoute, object] | None:
        """The route that FastAPI's router chooses, and its endpoint."""
        partial: tuple[BaseRoute, Scope] | None = None
        for route in self._routes.candidates(scope):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return route, _endpoint(route, more, scope)
            if match is Match.PARTIAL and partial is None:
                partial = route, more
        return None if partial is None else (partial[0], _endpoint(*partial, scope))

    def _chosen_for_slash(self, scope: Scope) -> tuple[BaseRoute, object] | None:
        if not self._app.router.redirect_slashes:
            return None
        path: str = scope["path"]
        return self._chosen({**scope, "path": path.rstrip("/") if path.endswith("/") else f"{path}/"})

    def _with_frontend(self, scope: Scope) -> set[str]:
        found: set[str] = set()
        if has_own_frontend_for(self._app.router, scope):
            found |= self._contributions.plugins_with_frontend()
        for route in self._routes.included():
            if has_frontend_for(route, scope):
                found |= self._of_route(route, None)
        return found

    def _of_route(self, route: BaseRoute, endpoint: object) -> set[str]:
        return self._of(route, self._routes.router_of(route), endpoint)

    def _of(self, route: BaseRoute, router: APIRouter | None, endpoint: object) -> set[str]:
        made = self._manager.convention_route(endpoint)
        if made is not None:  # whichever plugin the function is in
            return {made.plugin}
        names = {
            self._contributions.plugin_of_route(route),
            None if router is None else self._contributions.plugin_of_router(router),
            self._plugin_of_module(_module(endpoint)),
        }
        return {name for name in names if name is not None}

    def _plugin_of_module(self, module: str) -> str | None:
        """As the manager has it, which looks through all plugins; one may be skipped since."""
        if self._registry is not self._manager.registry:
            self._registry, self._modules = self._manager.registry, {}
        if module not in self._modules:
            self._modules[module] = self._manager.plugin_of_module(module)
        return self._modules[module]


def _endpoint(route: BaseRoute, more: Scope, scope: Scope) -> object:
    return getattr(chosen_in(route, scope), "endpoint", None) or more.get("endpoint")


def _module(endpoint: Any) -> str:
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return getattr(endpoint, "__module__", None) or ""

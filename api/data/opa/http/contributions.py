"""What each plugin has added to an application, so that it can be taken out again where the plugin is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from opa.loading.policy import Policy


class _Contribution:
    """What one plugin has added."""

    def __init__(self) -> None:
        self.routes: list[BaseRoute] = []
        self.middleware: list[Middleware] = []
        self.exception_handlers: list[Any] = []


class Contributions:
    """Remembers which plugin has added what to an application.

    Args:
        app: the application.
        policy: says which plugins may be skipped; of the others nothing need be remembered that only removal needs.
        keeps_routes: whether the routes of all plugins are remembered.

    Attributes:
        lifespans: those of the routers, in the order in which they start, each with the plugin that has added it.
    """

    def __init__(self, app: FastAPI, policy: Policy, *, keeps_routes: bool = False) -> None:
        self.lifespans: list[tuple[Lifespan[Any], str | None]] = []
        self._app = app
        self._policy = policy
        self._keeps_routes = keeps_routes
        self._of_plugins: dict[str, _Contribution] = {}
        self._adding: str | None = None
        self._added_by: dict[Middleware, str] = {}
        # With the router itself, so that no other gets its id.
        self._routers: dict[int, tuple[APIRouter, str]] = {}
        self._by_route: dict[int, tuple[BaseRoute, str]] = {}
        self._with_frontend: set[str] = set()

    @contextmanager
    def adding(self, plugin: str, *, at_end: bool = False) -> Iterator[None]:
        """What is added to the application in the block belongs to `plugin`.

        Args:
            plugin: its name.
            at_end: routes are added behind those that there are, so that these need not be looked at.
        """
        self._adding = plugin
        if not self._policy.skips(plugin) and not self._keeps_routes:
            try:
                yield
            finally:
                self._adding = None
            return
        app = self._app
        count = len(app.router.routes) if at_end else 0
        routes = set() if at_end else {id(route) for route in app.router.routes}
        middleware = {id(item) for item in app.user_middleware}
        handlers = set(app.exception_handlers)
        try:
            yield
        finally:
            self._adding = None
            mine = self._of_plugins.setdefault(plugin, _Contribution())
            new = [route for route in app.router.routes[count:] if id(route) not in routes]
            mine.routes += new
            self._by_route.update((id(route), (route, plugin)) for route in new)
            mine.middleware += [item for item in app.user_middleware if id(item) not in middleware]
            mine.exception_handlers += [key for key in app.exception_handlers if key not in handlers]

    def note_lifespan(self, lifespan: Lifespan[Any]) -> None:
        """A router with this lifespan has been added."""
        self.lifespans.append((lifespan, self._adding))

    def note_middleware(self, item: Middleware) -> None:
        """This middleware has been added."""
        if self._adding is not None:
            self._added_by[item] = self._adding

    def note_router(self, router: APIRouter) -> None:
        """This router has been included."""
        if self._adding is not None:
            self._routers.setdefault(id(router), (router, self._adding))

    def plugin_of_router(self, router: APIRouter) -> str | None:
        """The plugin that has included it first, where that is known."""
        return self._routers.get(id(router), (router, None))[1]

    def note_frontend(self) -> None:
        """Files of a frontend have been added to the application itself."""
        if self._adding is not None:
            self._with_frontend.add(self._adding)

    def plugins_with_frontend(self) -> frozenset[str]:
        """The plugins that have done so."""
        return frozenset(self._with_frontend)

    def plugin_of_middleware(self, item: Middleware) -> str | None:
        """The plugin that has added it, where that is known."""
        return self._added_by.get(item)

    def plugins_of_routes(self) -> dict[int, str]:
        """For the id of each route that is remembered, the plugin that has added it."""
        return {key: plugin for key, (_, plugin) in self._by_route.items()}

    def plugin_of_route(self, route: BaseRoute) -> str | None:
        """The plugin that has added it, where that is remembered."""
        return self._by_route.get(id(route), (route, None))[1]

    def remove(self, plugin: str) -> None:
        """Take out what `plugin` has added."""
        app, mine = self._app, self._of_plugins.pop(plugin, _Contribution())
        app.router.routes[:] = [route for route in app.router.routes if route not in mine.routes]
        for route in mine.routes:
            self._by_route.pop(id(route), None)
        app.user_middleware[:] = [item for item in app.user_middleware if item not in mine.middleware]
        for key in mine.exception_handlers:
            app.exception_handlers.pop(key, None)
        self.lifespans = [(lifespan, whose) for lifespan, whose in self.lifespans if whose != plugin]
        app.openapi_schema = None
        if mine.middleware or mine.exception_handlers:
            app.middleware_stack = None  # it may stand already, where a lifespan has failed

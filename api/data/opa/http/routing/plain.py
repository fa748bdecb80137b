"""The routes as FastAPI itself finds them, for its versions with which the index over them was not tested."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount, compile_path

from opa._compat.fastapi.inclusion import leaves, router_in
from opa.context import context_to_change

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send


class PlainRoutes:
    """Knows which routers FastAPI has included in an application.

    Args:
        app: the application.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._included: dict[int, tuple[BaseRoute, APIRouter]] = {}

    def note(self, router: APIRouter, count: int) -> None:
        """A router was included, when there were `count` routes."""
        self._included.update((id(route), (route, router)) for route in self._app.router.routes[count:])

    def put_in(self, router: APIRouter) -> None:
        """Put the routes of a router of opa-stack's own into the application, as they are.

        Each of them has a place of its own among the routes, while FastAPI may have one for all of a router's.
        """
        count = len(self._app.router.routes)
        self._app.router.routes.extend(router.routes)
        self.note(router, count)

    def routes_with_routers(self) -> Iterator[tuple[BaseRoute, APIRouter | None]]:
        """The routes in the order in which they are tried, each with the router that was included with it in it."""
        for route in list(self._app.router.routes):
            known, router = self._included.get(id(route), (None, None))
            router = router if known is route else None
            yield from ((_at(leaf, path), router) for leaf, path in leaves([route]))

    def candidates(self, _scope: Scope) -> list[BaseRoute]:
        """All routes, in the order in which they are tried."""
        return self._app.router.routes

    def router_of(self, route: BaseRoute) -> APIRouter | None:
        """The router that was included with one of them in it, or that one of them stands for."""
        known, router = self._included.get(id(route), (None, None))
        return router_in(route) or (router if known is route else None)

    def included(self) -> Iterator[BaseRoute]:
        """Those that stand for a router that was included."""
        return (route for route in self._app.router.routes if router_in(route) is not None)

    def build_index(self) -> None:
        """There is none."""


class ScopeNoted:
    """Middleware behind all others, which notes the request that the code behind it runs for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note it, and pass it on."""
        context_to_change().scope = scope
        await self.app(scope, receive, send)


def _at(route: Any, path: str | None) -> BaseRoute:
    """The route; where an included router puts it elsewhere, one like it for who reads paths, which answers nothing."""
    if path is None or not hasattr(route, "path_regex") or getattr(route, "path", path) == path:
        found: BaseRoute = route
        return found
    moved: Any = copy.copy(route)
    moved.path = path
    pattern = f"{path}/{{path:path}}" if isinstance(route, Mount) else path
    moved.path_regex, moved.path_format, moved.param_convertors = compile_path(pattern)
    there: BaseRoute = moved
    return there

"""Put the routes of a plugin into the application, at no cost to a request."""

from __future__ import annotations

import copy

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, request_response
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Do what `app.include_router(router)` does, with the routes in the application itself where they can be.

    FastAPI 0.163 includes lazily: it searches an included router for each request, and once more for the one
    that it finds. On a hello route that is 7 to 10 % of the requests a second. A router that includes other
    routers, or has a frontend, stays as FastAPI included it.

    Raises:
        FastAPIError: FastAPI refuses a route, such as one with an empty path.
    """
    app.include_router(router)  # its checks, its lifespan and its event handlers
    frontends = getattr(router, "_low_priority_routes", ())
    if not frontends and all(isinstance(route, Route | WebSocketRoute | Mount | Host) for route in router.routes):
        app.router.routes[-1:] = [_direct(route, app) for route in router.routes]


def _direct(route: BaseRoute, app: FastAPI) -> BaseRoute:
    """The route as if it had been made on the application: `app.dependency_overrides` counts for it."""
    if isinstance(route, APIRoute):
        direct = copy.copy(route)
        direct.dependency_overrides_provider = app
        direct.app = request_response(direct.get_route_handler())
        return direct
    if isinstance(route, APIWebSocketRoute):
        return APIWebSocketRoute(
            route.path,
            route.endpoint,
            name=route.name,
            dependencies=route.dependencies,
            dependency_overrides_provider=app,
        )
    return route

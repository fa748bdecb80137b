"""What FastAPI works out for the routes of included routers, and files of a frontend. Only for tested versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.params import Depends
from fastapi.routing import _EffectiveRouteContext as RouteInContext
from fastapi.routing import _IncludedRouter as IncludedRouter
from fastapi.routing import _RouterIncludeContext as IncludeContext

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = [
    "IncludeContext",
    "IncludedRouter",
    "RouteInContext",
    "Router",
    "has_limits",
    "in_context",
    "routes_in_context",
]

STATE = frozenset(field.name for field in dataclasses.fields(RouteInContext)) - {
    "frontend_prefix",
    "original_route",
    "starlette_route",
}
"""The attributes of a route that FastAPI works out for one of an included router."""


class Router(fastapi.APIRouter):
    """A router whose search for files of a frontend can be overridden."""

    def _iter_low_priority_routes(self) -> Iterator[BaseRoute | RouteInContext]:
        return self.frontend_routes()

    def frontend_routes(self) -> Iterator[BaseRoute | RouteInContext]:
        """Called where no route answers: the routes of frontends, also of included routers."""
        return super()._iter_low_priority_routes()


def own_frontend_routes(router: fastapi.APIRouter) -> list[Any]:
    """The routes of frontends that were added to a router itself."""
    found: list[Any] = router._low_priority_routes
    return found


def routes_in_context(router: fastapi.APIRouter, context: IncludeContext) -> Iterator[RouteInContext]:
    """All routes of a router, and of those that it includes, as they are where it is included."""
    # By a new one, since FastAPI's keep what they have worked out, and do not hear of `mount` and changes of the list.
    yield from IncludedRouter(router, context).effective_route_contexts()


def in_context(included: IncludedRouter, route: BaseRoute) -> RouteInContext | None:
    """A route as it is where its router is included; None where FastAPI leaves it out."""
    return included._build_effective_context(route)


def has_limits(context: IncludeContext) -> bool:
    """Whether the bodies of requests, or forms, have limits where a router is included: since FastAPI 0.164 and 0.165.

    FastAPI applies them to the routes of any kind, and to requests that none of them matches.
    """
    return getattr(context, "max_body_size", None) is not None or bool(getattr(context, "form_limits", None))


def concurrency_of(depends: Depends) -> Any:
    """Whether a dependency is said to run in a thread, or not to."""
    return depends._concurrency

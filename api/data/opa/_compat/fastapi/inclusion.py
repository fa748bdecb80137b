"""Routers that FastAPI has included in others: it puts an object of its own among the routes, or copies of theirs.

What is here holds for all versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, routing
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match


class _Nothing:
    """In the place of a class that FastAPI does not have: nothing is one."""


IncludedRouter: Any = getattr(routing, "_IncludedRouter", _Nothing)
"""What stands among the routes for a router that was included."""

_contexts: Any = getattr(routing, "iter_route_contexts", None)


def router_in(route: BaseRoute) -> APIRouter | None:
    """The router that was included, where `route` stands for one."""
    found = getattr(route, "original_router", None) if isinstance(route, IncludedRouter) else None
    return found if isinstance(found, APIRouter) else None


def prefix_of(route: BaseRoute) -> str:
    """What an included router was given as its prefix."""
    return str(getattr(getattr(route, "include_context", None), "prefix", ""))


def dependencies_of(route: BaseRoute) -> Iterable[Any]:
    """What an included router was given as its dependencies."""
    found: Iterable[Any] = getattr(getattr(route, "include_context", None), "dependencies", ())
    return found


def chosen_in(route: BaseRoute, scope: Any) -> BaseRoute:
    """The route that answers, where `route` stands for an included router; it must match."""
    while isinstance(route, IncludedRouter) and hasattr(route, "_match"):
        _, _, chosen, context = route._match(scope)
        # In the context of one that is no `APIRoute`, the route has another path than where it was declared.
        found = getattr(context, "original_route", None) or chosen
        if found is None:
            break
        route = found
    return route


def has_frontend_for(route: BaseRoute, scope: Any) -> bool:
    """Whether an included router has files of a frontend for the request: they come behind all routes."""
    given = getattr(route, "effective_low_priority_routes", None)
    return given is not None and any(candidate.matches(scope)[0] is not Match.NONE for candidate in given())


def has_own_frontend_for(router: APIRouter, scope: Any) -> bool:
    """The same of the router itself, without those that it includes."""
    given = getattr(router, "_low_priority_routes", ())
    return any(candidate.matches(scope)[0] is not Match.NONE for candidate in given)


def has_frontends(routers: Iterable[APIRouter]) -> bool:
    """Whether one of the routers, or of those that they include, has files of a frontend."""
    for router in routers:
        included = [found for route in router.routes if (found := router_in(route)) is not None]
        if getattr(router, "_low_priority_routes", ()) or has_frontends(included):
            return True
    return False


def leaves(routes: Sequence[BaseRoute]) -> Iterator[tuple[BaseRoute, str | None]]:
    """The routes, those of included routers in their place, each with the path that it answers to where it has one."""
    if _contexts is None:
        yield from ((route, getattr(route, "path", None)) for route in routes)
        return
    for context in _contexts(routes):
        yield context.original_route, context.path


def described_leaves(routes: Sequence[BaseRoute]) -> Iterator[tuple[APIRoute, str, Any]]:
    """The routes that a document describes, each with its path in it, and its dependencies where it is included."""
    contexts: Iterable[Any] = routes if _contexts is None else _contexts(routes)
    for context in contexts:
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute):
            yield route, context.path_format, getattr(context, "dependant", route.dependant)

"""The header `Allow` of an answer 405: it names the methods of all routes of the path.

The routers of Starlette and FastAPI let the first of them answer, which knows its own alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from opa._compat.fastapi.inclusion import leaves

STATUS = 405

Headers = list[tuple[bytes, bytes]]
ROOT_PATH = "opa.root_path"
"""The key of a scope for its `root_path` as the application has got it: a mount changes that, also one around it."""

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
_BY_METHODS = frozenset({Route.matches, APIRoute.matches})
"""Those of a path that take a request by its method, and by nothing else."""
_MARKS = frozenset({"endpoint", "path_params", "route", "app_root_path", "fastapi"})
"""What a route or a mount leaves in a scope; all else may be what a route of a plugin's own decides by."""


def with_all(headers: Headers, scope: Scope, routes: Sequence[BaseRoute]) -> Headers:
    """The same headers with all methods; unchanged where a route takes the method, and has answered 405 itself.

    Args:
        headers: of an answer with the status `STATUS`.
        scope: that of the request.
        routes: those that can match its path, in the order in which they are tried.
    """
    is_alone = False
    if len(routes) == 1:
        route = routes[0]
        if isinstance(route, Route) and scope.get("endpoint") is route.endpoint:  # the router has chosen it
            if route.methods and len(route.methods) == 1:
                return headers  # as for nearly all paths: it names the one method, or what the route itself says
            is_alone = True
    given = [value for name, value in headers if name == b"allow"]
    if len(given) != 1:
        return headers
    if not is_alone:
        # Once each, since there may be thousands: of these, few have the path.
        routes = [route for route in routes if not (isinstance(route, Route) and _match(route, scope) is Match.NONE)]
        is_alone = len(routes) == 1 and isinstance(routes[0], Route)
    named = {method.strip() for method in given[0].decode("latin-1").split(",")}
    # One route alone has named its own methods, in the order of a set, which differs between processes.
    found = named if is_alone else _taken({*_METHODS, *named, scope["method"]}, scope, routes)
    if scope["method"] in found or not named <= found:
        return headers
    allow = (b"allow", ", ".join(sorted(found)).encode("latin-1"))
    return [allow if name == b"allow" else (name, value) for name, value in headers]


def _taken(methods: Iterable[str], scope: Scope, routes: Iterable[BaseRoute]) -> set[str]:
    """Those of the methods with which one of the routes matches, and all of routes that say which they have.

    Args:
        methods: to ask the other routes with.
        scope: that of the request.
        routes: of its path.
    """
    named: set[str] = set()
    others = []
    for route in routes:
        if isinstance(route, Route) and route.methods and getattr(route.matches, "__func__", None) in _BY_METHODS:
            named |= route.methods
        else:
            others.append(route)
    scopes = {method: {**scope, "method": method} for method in {*methods, *_named_in(others)}} if others else {}
    return named.union(
        method for method in scopes if any(_match(route, scopes[method]) is Match.FULL for route in others)
    )


def _named_in(routes: Sequence[BaseRoute]) -> set[str]:
    """The methods of all routes of included routers, which may have names of their own."""
    return {method for route, _ in leaves(routes) for method in getattr(route, "methods", None) or ()}


def _match(route: BaseRoute, scope: Scope) -> Match:
    asked = {name: value for name, value in scope.items() if name not in _MARKS}
    asked["root_path"] = scope.get(ROOT_PATH, scope.get("app_root_path", scope.get("root_path", "")))
    return route.matches(asked)[0]

"""The routes of an included router, as if each had been made on the application."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends
from fastapi.routing import APIRoute, request_response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from opa._compat.fastapi.routing import (
    STATE,
    IncludeContext,
    IncludedRouter,
    RouteInContext,
    concurrency_of,
    has_limits,
    in_context,
    own_frontend_routes,
    routes_in_context,
)
from opa.http.routing.route_list import Alarm, RouteList
from opa.http.routing.shape import fits_its_path

_INCLUSION = "opa_inclusion"


@dataclass(eq=False)
class Inclusion:
    """A router that FastAPI has included, and what it comes to.

    FastAPI 0.163 includes lazily: it searches the router for each request, and once more for the one that it finds,
    which is 7 to 10 % of the requests a second on a hello route.

    Attributes:
        included: what FastAPI has put into the routes of the application.
        routes: the same as routes of the application.
        has_frontend: whether it also has files of a frontend, which come after all routes.
    """

    included: IncludedRouter
    routes: list[BaseRoute]
    has_frontend: bool
    _seen: list[tuple[APIRouter, tuple[object, int]]]

    @classmethod
    def from_router(cls, included: IncludedRouter, alarm: Alarm) -> Inclusion | None:
        """What `included` comes to; puts `alarm` on when one of its routers has got or lost a route.

        Returns:
            Nothing, where a router decides by itself what it matches, or limits the bodies of its requests.

        Raises:
            Exception: FastAPI cannot include a route, such as one with a parameter that the prefix has too.
        """
        inclusions = list(_inclusions(included))
        if not all(map(_is_plain, inclusions)):
            return None
        routers = [each.original_router for each in inclusions]
        for router in routers:
            _list_of(router).watch(alarm)
        seen = [(router, _list_of(router).state) for router in routers]
        has_frontend = any(map(own_frontend_routes, routers))
        return cls(included, list(_routes(included)), has_frontend, seen)

    def stay_with_routes(self) -> None:
        """Be there as long as one of the routes is: who takes them out of the application says so to nobody."""
        for route in self.routes:
            vars(route)[_INCLUSION] = self

    @property
    def has_changed(self) -> bool:
        """Whether one of the routers has got or lost a route."""
        return any(_list_of(router).state != state for router, state in self._seen)


def _inclusions(included: IncludedRouter) -> Iterator[IncludedRouter]:
    """`included` and what its router includes."""
    yield included
    for route in included.original_router.routes:
        if isinstance(route, IncludedRouter):
            yield from _inclusions(route)


def _is_plain(included: IncludedRouter) -> bool:
    """Whether FastAPI's own code finds the route, and adds nothing to a request before it is found."""
    router = included.original_router
    return (
        getattr(router.matches, "__func__", None) is APIRouter.matches
        and getattr(router.handle, "__func__", None) is APIRouter.handle
        and not has_limits(included.include_context)
    )


def _list_of(router: APIRouter) -> RouteList:
    if not isinstance(router.routes, RouteList):
        router.routes = RouteList(router.routes)
    return router.routes


def _routes(included: IncludedRouter) -> Iterator[BaseRoute]:
    if not _adds_nothing(included.include_context):
        yield from _all_worked_out(included.original_router, included.include_context)
        return
    for route in included.original_router.routes:
        if isinstance(route, IncludedRouter):
            yield from _all_worked_out(route.original_router, included.include_context.combine(route.include_context))
        else:
            yield from _direct(route, included)


def _all_worked_out(router: APIRouter, context: IncludeContext) -> Iterator[BaseRoute]:
    return map(_worked_out, routes_in_context(router, context))


def _adds_nothing(context: IncludeContext) -> bool:
    """Whether the routes stay as they are, so that FastAPI need not analyse them once more."""
    strict = context.strict_content_type
    return (
        not (context.prefix or context.tags or context.dependencies or context.responses or context.callbacks)
        and not context.deprecated
        and context.include_in_schema
        and isinstance(context.default_response_class, DefaultPlaceholder)
        and isinstance(context.generate_unique_id_function, DefaultPlaceholder)
        and bool(strict.value if isinstance(strict, DefaultPlaceholder) else strict)
    )


def _worked_out(context: RouteInContext) -> BaseRoute:
    """The route with the prefix, tags, dependencies and all else that its routers add to it."""
    if context.starlette_route is not None:
        return context.starlette_route
    route = copy.copy(context.original_route)
    vars(route).update({name: getattr(context, name) for name in STATE})
    return route


def _direct(route: BaseRoute, included: IncludedRouter) -> Iterator[BaseRoute]:
    """The route in the application whose `dependency_overrides` count; nothing where FastAPI leaves it out.

    Always another object: the same router may be included twice.
    """
    if isinstance(route, APIRoute) and _is_as_made(route, included.original_router):
        direct = copy.copy(route)
        direct.dependency_overrides_provider = included.include_context.dependency_overrides_provider
        direct.app = request_response(direct.get_route_handler())
        yield direct
    elif type(route) in {Route, WebSocketRoute} and _is_plain_as_made(route):  # type: ignore[arg-type]
        yield copy.copy(route)  # FastAPI makes a new one, without the middleware
    elif context := in_context(included, route):
        yield _worked_out(context)


def _is_as_made(route: APIRoute, router: APIRouter) -> bool:
    """Whether what FastAPI has worked out of the attributes is still what it would work out now, in `router`.

    A plugin may change the routes of its router, such as their dependencies: FastAPI reads them when it includes them.
    """
    added = [each for each in route.dependant.dependencies if each.name is None]
    model = route.response_field.field_info.annotation if route.response_field else None
    return (
        fits_its_path(route)
        and route.dependant.call is route.endpoint
        and len(added) == len(route.dependencies)
        and all(map(_is_made_of, added, route.dependencies))
        and model is (route.response_model or None)
        and getattr(route, "max_body_size", None) is None  # which FastAPI puts around it, since 0.164
        and all(map(str.isupper, route.methods or ()))
        and not _gets(route.response_class, router.default_response_class)
        and not _gets(route.generate_unique_id_function, router.generate_unique_id_function)
        and not _gets(route.strict_content_type, router.strict_content_type)
    )


def _is_made_of(dependant: Dependant, depends: Depends) -> bool:
    return (
        dependant.call is depends.dependency
        and dependant.scope == depends.scope
        and dependant.concurrency is concurrency_of(depends)
        and list(dependant.own_oauth_scopes or ()) == list(getattr(depends, "scopes", None) or ())
    )


def _gets(value: object, default: object) -> bool:
    """Whether a router gives its default to a route that was not made by it."""
    return isinstance(value, DefaultPlaceholder) and not isinstance(default, DefaultPlaceholder)


def _is_plain_as_made(route: Route | WebSocketRoute) -> bool:
    methods = getattr(route, "methods", None) or set()
    return fits_its_path(route) and all(map(str.isupper, methods)) and ("GET" not in methods or "HEAD" in methods)

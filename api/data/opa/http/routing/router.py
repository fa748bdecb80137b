"""A router that finds a route among many as fast as among few, and always the one that FastAPI's own finds."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from threading import RLock
from typing import Any, cast
from weakref import WeakValueDictionary

from fastapi import APIRouter
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

from opa._compat.fastapi.inclusion import router_in
from opa._compat.fastapi.routing import IncludedRouter, RouteInContext, Router, own_frontend_routes
from opa._compat.starlette import get_route_path
from opa.context import context_to_change, current_context
from opa.http.request_context import RequestContext
from opa.http.routing.included import Inclusion
from opa.http.routing.index import ANY, RouteIndex
from opa.http.routing.names import RouteNames
from opa.http.routing.route_list import Alarm, RouteList
from opa.http.routing.shape import shape_of

_OPTIONS = (
    "callbacks",
    "default_response_class",
    "dependencies",
    "dependency_overrides_provider",
    "deprecated",
    "generate_unique_id_function",
    "include_in_schema",
    "prefix",
    "redirect_slashes",
    "responses",
    "route_class",
    "routes",
    "strict_content_type",
    "tags",
)
_NEWER_OPTIONS = ("form_limits", "max_body_size")  # since FastAPI 0.165 and 0.164


class _Table:
    """What is known of the first `count` routes of a list.

    Attributes:
        version: that of the list.
        inclusions: the included routers that stand in the list as FastAPI puts them there.
        routers: by the id of a route, the router that was included with it in it; made when it is asked for.
    """

    def __init__(self, version: object) -> None:
        self.version = version
        self.count = 0
        self.index: RouteIndex[BaseRoute] = RouteIndex()
        self.names = RouteNames()
        self.inclusions: list[tuple[IncludedRouter, Inclusion | None]] = []
        self.routers: dict[int, APIRouter | None] | None = None


class IndexedRouter(Router):
    """An `APIRouter` that tries only those of its routes that can match the path, in their order.

    The routes do the matching, and FastAPI's router decides between them. What happens to the list of routes is seen at
    the next request, also in an included router; what happens inside a route that stands in it is not: assign
    `router.routes = list(router.routes)` after that.
    """

    def __init__(self, **options: Any) -> None:
        self._lock = RLock()
        self._alarm = Alarm()
        self._included: WeakValueDictionary[int, Inclusion] = WeakValueDictionary()
        self._table = _Table(None)
        super().__init__(**options)

    @classmethod
    def in_place_of(cls, router: APIRouter) -> IndexedRouter:
        """A router that does what `router` does, which must be new."""
        options = {name: getattr(router, name) for name in _OPTIONS}
        options |= {name: getattr(router, name) for name in _NEWER_OPTIONS if hasattr(router, name)}
        indexed = cls(lifespan=router.lifespan_context, **options)
        indexed.on_startup, indexed.on_shutdown = router.on_startup, router.on_shutdown
        return indexed

    @property
    def routes(self) -> RouteList:
        """The routes, those of included routers among them where they can be."""
        if self._alarm.is_on:
            self._put_back_changed()
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = routes if isinstance(routes, RouteList) else RouteList(routes)

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Do what `APIRouter.include_router` does, with the routes in this router itself where they can be."""
        with self._lock:
            super().include_router(router, **options)
            included = cast("IncludedRouter", self._routes[-1])
            inclusion = Inclusion.from_router(included, self._alarm)
            if inclusion is not None and inclusion.routes and not inclusion.has_frontend:
                self._routes.exchange_last(inclusion.routes)
                inclusion.stay_with_routes()
                self._included[id(inclusion)] = inclusion

    def routes_with_routers(self) -> Iterator[tuple[BaseRoute, APIRouter | None]]:
        """The routes in the order in which they are tried, each with the router that was included with it in it."""
        with self._lock:
            routes = list(self.routes)
            included = list(self._included.values())
            whose = {id(route): each.included.original_router for each in included for route in each.routes}
            known = self._known_inclusions()
        for route in routes:
            inclusion = known.get(id(route))
            if inclusion is None and isinstance(route, IncludedRouter):
                inclusion = self._included_by(route)
            if inclusion is None:
                yield route, whose.get(id(route))
            else:
                yield from ((direct, inclusion.included.original_router) for direct in inclusion.routes)

    def candidates(self, scope: Scope) -> list[BaseRoute]:
        """Those that can match the path, with and without a slash at its end, in the order in which they are tried."""
        table = self._current()
        if scope.get("root_path"):
            return _below_root_path(table, scope)
        return table.index.candidates(scope["path"])  # the other path differs in slashes at its end, which do not count

    def router_of(self, route: BaseRoute) -> APIRouter | None:
        """The router that was included with one of them in it, or that one of them stands for."""
        table = self._current()
        if table.routers is None:
            table.routers = {id(known): router for known, router in self.routes_with_routers()}
        return router_in(route) or table.routers.get(id(route))

    def included(self) -> Iterator[BaseRoute]:
        """Those that stand for a router that was included."""
        return (included for included, _ in self._current().inclusions)

    def build_index(self) -> None:
        """Do now what the next request would wait for."""
        self._current()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Do what Starlette does in a coroutine, without one: it takes a while for each request."""
        return self.middleware_stack(scope, receive, send)

    def app(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Choose a route and let it answer."""
        if scope["type"] not in ("http", "websocket"):
            return super().app(scope, receive, send)
        if "router" not in scope:
            scope["router"] = self
        table = self._table
        if self._routes.known is not table or self._alarm.is_on:
            table = self._current()
        candidates = _below_root_path(table, scope) if scope.get("root_path") else table.index.candidates(scope["path"])
        context = current_context.get()
        if type(context) is RequestContext:
            context.scope, context.candidates = scope, candidates
        else:
            context_to_change().scope = scope
        return APIRouter.app(_Narrowed(self, candidates), scope, receive, send)  # type: ignore[arg-type]

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the first route of that name with these parameters.

        Raises:
            NoMatchFound: there is none.
        """
        for route in self._current().names.candidates(name):
            with suppress(NoMatchFound):
                return route.url_path_for(name, **path_params)
        return super().url_path_for(name, **path_params)  # a route may have got another name

    def frontend_routes(self) -> Iterator[BaseRoute | RouteInContext]:
        """The routes of frontends; FastAPI's own goes through all routes, to find the included routers."""
        own, inclusions = own_frontend_routes(self), self._current().inclusions
        if not inclusions:  # as nearly always: they stand in this router themselves
            return iter(own)
        return chain(own, *(included.effective_low_priority_routes() for included, _ in inclusions))

    def _current(self) -> _Table:
        table = self._table
        if self._routes.known is table and not self._alarm.is_on:
            return table
        with self._lock:
            routes = self.routes
            table = self._read_on(routes)
            routes.known = table
            if table.version is not routes.version or table.count != len(routes):  # it has changed meanwhile
                routes.known = None
            return table

    def _read_on(self, routes: RouteList) -> _Table:
        """Read what has come to the list, or all of it where it has changed otherwise."""
        table = self._table
        known: dict[int, Inclusion] = {}
        if table.version is not routes.version:
            known = self._known_inclusions()
            table = _Table(routes.version)
        new = routes[table.count :]
        for route in new:
            table.names.add(route)
            if isinstance(route, IncludedRouter):
                inclusion = known.get(id(route)) or self._included_by(route)
                table.inclusions.append((route, inclusion))
                for direct in inclusion.routes if inclusion else ():
                    table.index.add(shape_of(direct), direct)
                if inclusion is None:
                    table.index.add(ANY, route)
            else:
                table.index.add(shape_of(route), route)
        table.count += len(new)
        if new:
            table.routers = None
        self._table = table
        return table

    def _known_inclusions(self) -> dict[int, Inclusion]:
        return {id(included): each for included, each in self._table.inclusions if each and not each.has_changed}

    def _included_by(self, included: IncludedRouter) -> Inclusion | None:
        try:
            return Inclusion.from_router(included, self._alarm)
        except Exception:  # noqa: BLE001 - FastAPI raises it again for the requests that get as far as this router
            return None

    def _put_back_changed(self) -> None:
        """Let FastAPI serve the included routers that have changed: it follows them."""
        with self._lock:
            # In this order: until all is put back, other threads wait; and a change from now on is heard.
            self._table.version = self._routes.known = None
            self._alarm.is_on = False
            for inclusion in [each for each in self._included.values() if each.has_changed]:
                del self._included[id(inclusion)]
                self._put_back(inclusion)

    def _put_back(self, inclusion: Inclusion) -> None:
        gone = {id(route) for route in inclusion.routes}
        place = next((place for place, route in enumerate(self._routes) if id(route) in gone), None)
        if place is not None:
            behind = [route for route in self._routes[place:] if id(route) not in gone]
            self._routes[place:] = [inclusion.included, *behind]


class _Narrowed:
    """A router with some of its routes, for the time of a request."""

    __slots__ = ("_router", "routes")

    def __init__(self, router: IndexedRouter, routes: list[BaseRoute]) -> None:
        self._router = router
        self.routes = routes

    # Where no route answers, FastAPI asks for these, which would take three times as long by `__getattr__`.
    @property
    def redirect_slashes(self) -> bool:
        return self._router.redirect_slashes

    @property
    def default(self) -> ASGIApp:
        return self._router.default

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)


def _below_root_path(table: _Table, scope: Scope) -> list[BaseRoute]:
    return table.index.candidates(get_route_path(scope), _other_path(scope))


def _other_path(scope: Scope) -> str:
    """What the routes are tried with where none matches: the path with a slash at its end, or without."""
    path = scope["path"].rstrip("/") if get_route_path(scope).endswith("/") else scope["path"] + "/"
    return get_route_path({"path": path, "root_path": scope.get("root_path", "")})

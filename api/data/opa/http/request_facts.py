"""What is known of a request once a route was found for it: the route as it is declared, and its plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from starlette.routing import Mount

from opa.context import current_context
from opa.logging.request_id import get_request_id

if TYPE_CHECKING:
    from starlette.types import Scope

    from opa.core.manager import PluginManager

MOUNTED_AT = "opa.mounted_at"
"""Where `mount_paths` notes it in a scope."""

ACTOR = "opa.actor"
"""Where `access.authenticate` remembers in a scope who is calling."""

OF_FASTAPI = "fastapi"
"""FastAPI's own place in a scope, for the route of a router that it has included."""

LIMITED = "opa.rate_limits"
"""Where `rate_limits` notes in a scope by which limits it is counted."""

CACHE_SIZE = 20_000
"""Routes; some frameworks make endpoints for each request."""


class Application(Protocol):
    """The application that has got the request."""

    @property
    def manager(self) -> PluginManager:
        """Its plugins."""

    @property
    def router(self) -> Any:
        """Has the `routes`."""


def facts_of(scope: Scope, api: Application) -> dict[str, str | None]:
    """For the log.

    Returns:
        `method` (`WEBSOCKET` for one), `path` as it was asked for, and where they are known `route`, which is the path
        of the route as it is declared, `plugin`, `request_id` and `actor`; None for what is not known.
    """
    endpoint = scope.get("endpoint")
    return {
        "request_id": get_request_id(),
        "actor": actor_in(scope) or actor_here(),
        "method": scope.get("method", "WEBSOCKET"),
        "path": scope["path"],
        "route": route_of(scope, endpoint, api),
        "plugin": plugin_of(endpoint, api.manager),
    }


def route_of(scope: Scope, endpoint: object, api: Application) -> str | None:
    """The path of the route that has answered, as it is declared; None where there was none."""
    route = route_in(scope)
    if route is None and endpoint is not None:  # Starlette's own routes are not in the scope
        route = _first(api.router.routes, lambda found: getattr(found, "endpoint", None) is endpoint)
    path = getattr(route, "path", None)
    return None if path is None else mounted_at(scope) + str(path)


def actor_in(scope: Scope) -> str | None:
    """The id of who is calling, where it was asked for in this scope: a middleware may have handed on another one."""
    actor = getattr(scope.get(ACTOR), "actor", None)
    return None if actor is None else str(actor.id)


def actor_here() -> str | None:
    """The id of who is calling, where that is known to the code that asks."""
    actor = current_context.get().actor
    return None if actor is None else str(actor.id)


def route_in(scope: Scope) -> object | None:
    """The route that has answered, where it is in the scope: those of Starlette at the top are not."""
    # FastAPI's own place for the route of an included router, whose path has a prefix there; see `included_routes`.
    route: object | None = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    # Starlette's router puts a mount there too. It is none, and its path is among those of the mounts already.
    return None if isinstance(route, Mount) else route


def mounted_at(scope: Scope) -> str:
    """The paths of the mounts that the request has gone through, such as `/of/{tenant}`; empty for none."""
    path: str = scope.get(MOUNTED_AT, "")
    return path


def plugin_of(endpoint: object, manager: PluginManager) -> str | None:
    """The plugin that the endpoint is defined in, or else the one that has the route in its router."""
    if endpoint is None:
        return None
    made = manager.convention_route(endpoint)
    if made is not None:
        return made.plugin
    named = manager.plugin_of_module(getattr(endpoint, "__module__", None) or "")
    if named is not None:
        return named
    for found in manager.registry.objects:
        routes = found.router.routes if found.router else ()
        if _first(routes, lambda route: getattr(route, "endpoint", None) is endpoint):
            return found.plugin.name
    return None


def _first(routes: Any, fits: Callable[[object], bool]) -> object | None:
    return next((route for route in routes if fits(route)), None)


class RoutePlace:
    """A route, as requests find it.

    Attributes:
        route: its path, as it is declared; None where no route was found.
        plugin: the plugin that has it; None for none.
        kept: what observers of requests keep for it, each under a key of its own.
    """

    __slots__ = ("_found", "kept", "plugin", "route")

    def __init__(self, route: str | None, plugin: str | None, found: object = None) -> None:
        self.route = route
        self.plugin = plugin
        self.kept: dict[Any, Any] = {}
        self._found = found  # kept, so that no other gets its id


class KnownRoutes:
    """The routes and plugins of requests, each looked for once.

    Args:
        api: the application, which knows them.

    Attributes:
        by_route: those that were found, by the id of the route, where a scope has it and it is not mounted.
        when_forgotten: what is called when all of them are forgotten, and another route may get the id of one.
    """

    def __init__(self, api: Application) -> None:
        self._api = api
        self.by_route: dict[int, RoutePlace] = {}
        self.when_forgotten: list[Callable[[], object]] = []
        self._known: dict[tuple[int, int, str | None], RoutePlace] = {}
        self._nowhere = RoutePlace(None, None)

    def place(self, scope: Scope) -> RoutePlace:
        """Where a request was answered."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return self._nowhere
        route = route_in(scope)
        # An endpoint may stand at several paths; those whose route is not in the scope have one.
        key = id(endpoint), id(route), scope.get(MOUNTED_AT)
        found = self._known.get(key)
        if found is None:
            plugin = plugin_of(endpoint, self._api.manager)
            found = RoutePlace(route_of(scope, endpoint, self._api), plugin, (endpoint, route))
            if len(self._known) >= CACHE_SIZE:
                self._forget()
            self._known[key] = found
            if route is not None and MOUNTED_AT not in scope:
                self.by_route[id(route)] = found
        return found

    def _forget(self) -> None:
        """Forget all: most of them are gone, where there are so many."""
        self._known.clear()
        self.by_route.clear()
        for forget in self.when_forgotten:
            forget()

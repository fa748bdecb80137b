"""The routes that conventions make of what plugins have, such as of a folder with files."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount

from opa.core.manager import ConventionRoute, PluginManager
from opa.errors import OpaError, RegistrationError

if TYPE_CHECKING:
    from opa.core.register import PluginObjects
    from opa.http.application import Api
    from opa.loading.conventions import Convention


def add_routes_of(convention: Convention, found: PluginObjects, app: Api) -> None:
    """Add the routes that a convention makes of what a plugin has; none where it has nothing.

    Raises:
        RegistrationError: it cannot make them of that.
    """
    plugin, manager = found.plugin.name, app.manager
    value = found.plugin.found(convention)
    if value is None or convention.routes is None:
        return
    try:
        routes = list(convention.routes(plugin, value))
        endpoints = [_endpoint(route, manager) for route in routes]
    except OpaError as error:
        raise RegistrationError(error.problem, plugin=plugin, where=error.where, hint=error.hint) from error
    except Exception as error:
        declared_by = manager.registry.conventions[convention]
        raise RegistrationError(
            f"plugin '{declared_by}' cannot make routes of '{convention.name}' of plugin '{plugin}':"
            f" {type(error).__name__}: {error}",
            plugin=plugin,
            where=str(value),
            hint=f"Fix the routes of that convention in plugin '{declared_by}'",
        ) from error
    for endpoint in endpoints:
        manager.endpoints[id(endpoint)] = ConventionRoute(plugin, convention.name, endpoint)
    app.router.routes.extend(routes)


def put_before_wider_ones(app: Api) -> None:
    """Try them before the routes of plugins, but for those that stand below the same path, which are more specific."""
    manager = app.manager
    if not manager.endpoints:
        return
    made, others = list[BaseRoute](), list[BaseRoute]()
    for route in app.router.routes:
        is_made = manager.convention_route(getattr(route, "endpoint", None)) is not None
        (made if is_made else others).append(route)
    fixed = tuple(map(fixed_part, made))
    built_in = app.built_in_routers()
    own = {id(route) for route, router in app.routes_with_routers() if id(router) in built_in}
    first = list(takewhile(lambda route: id(route) in own, others))
    rest = others[len(first) :]
    first += [route for route in rest if fixed_part(route).startswith(fixed)]
    moved = {id(route) for route in first}
    app.router.routes[:] = [*first, *made, *(route for route in rest if id(route) not in moved)]


def fixed_part(route: BaseRoute) -> str:
    """What each path of the route begins with; of a mount with the slash behind it."""
    path = str(getattr(route, "path", ""))
    return f"{path}/" if isinstance(route, Mount) else path.partition("{")[0]


def paths_below(route: BaseRoute) -> Iterable[str]:
    """Two paths that a route with a parameter answers, or one whose parameter takes slashes: one level, and two."""
    start = fixed_part(route)
    return f"{start}~a", f"{start}~a/~b"


def _endpoint(route: Any, manager: PluginManager) -> object:
    """That of a route.

    Raises:
        TypeError: it cannot tell the route from that of another plugin.
    """
    if not isinstance(route, BaseRoute) or not hasattr(route, "endpoint"):
        raise TypeError(f"{route!r} is not a Route of Starlette")
    other = manager.convention_route(route.endpoint)
    if other is not None:
        raise TypeError(f"the endpoint of {route!r} is that of plugin '{other.plugin}' too; make one for each")
    return route.endpoint

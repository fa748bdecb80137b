"""Which request an exception has ended: the server writes it into the log, and knows nothing of routes and plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opa.core.request_id import get_request_id

if TYPE_CHECKING:
    from starlette.types import Scope

    from opa.core.app import Api
    from opa.core.manager import PluginManager

_NOTE = "_opa_request"
MOUNTED_AT = "opa.mounted_at"
"""Where `mount_paths` notes it in a scope."""


def note_request(error: BaseException, scope: Scope, api: Api) -> None:
    """Note on `error` which request it has ended, for the line that the server writes when it gets the error.

    The note has `method` (`WEBSOCKET` for one), `path` as it was asked for, and where they are known `route`, which is
    the path of the route as it is declared, `plugin` and `request_id`.
    """
    endpoint = scope.get("endpoint")
    found = {
        "request_id": get_request_id(),
        "method": scope.get("method", "WEBSOCKET"),
        "path": scope["path"],
        "route": route_of(scope, endpoint, api),
        "plugin": plugin_of(endpoint, api.manager),
    }
    vars(error)[_NOTE] = {name: value for name, value in found.items() if value is not None}


def take_note(error: BaseException | None) -> dict[str, Any]:
    """What `note_request` has noted, once."""
    note: dict[str, Any] = {} if error is None else vars(error).pop(_NOTE, {})
    return note


def in_words(note: dict[str, Any]) -> str:
    """For the message of a line: the same for all requests of a route, and nothing that a client has sent."""
    where = f"{note['method']} {note['route']}" if "route" in note else note["method"]
    return f"{where}, plugin {note['plugin']}" if "plugin" in note else where


def route_of(scope: Scope, endpoint: object, api: Api) -> str | None:
    """The path of the route that has answered, as it is declared; None where there was none."""
    route = route_in(scope)
    if route is None and endpoint is not None:  # Starlette's own routes are not in the scope
        route = _first(api.router.routes, lambda found: getattr(found, "endpoint", None) is endpoint)
    path = getattr(route, "path", None)
    return None if path is None else mounted_at(scope) + str(path)


def route_in(scope: Scope) -> object | None:
    """The route that has answered, where it is in the scope: those of Starlette are not."""
    # FastAPI's own place for the route of an included router, whose path has a prefix there; see `included_routes`.
    route: object | None = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return route


def mounted_at(scope: Scope) -> str:
    """The paths of the mounts that the request has gone through, such as `/of/{tenant}`; empty for none."""
    path: str = scope.get(MOUNTED_AT, "")
    return path


def plugin_of(endpoint: object, manager: PluginManager) -> str | None:
    """The plugin that the endpoint is defined in, or else the one that has the route in its router."""
    if endpoint is None:
        return None
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

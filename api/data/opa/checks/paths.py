"""Routes that are never reached, since another one before them has the same method and path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, WebSocketRoute

from opa.checks.mistake import Mistake
from opa.checks.owners import Owners
from opa.core.route_shape import is_found_by_its_path
from opa.core.sources import where_is_function

if TYPE_CHECKING:
    from opa.core.app import Api

_NAME = re.compile(r"\{\w+(:str(?=}))?")
_GROUP = re.compile(r"\(\?P<\w+>")

# A route and the name of its plugin.
_Owned = tuple[Any, str | None]


def shadowed_paths(app: Api) -> Iterator[Mistake]:
    """A mistake for each route all or some of whose methods another one has taken, with a path that matches the same.

    Names of parameters do not count, their converters do. Where a plugin has taken the place of a route that comes with
    opa-stack, and where the two routes are one function, that is as it should be.
    """
    owners = Owners(app)
    first: dict[tuple[str, str], _Owned] = {}
    for route, owner in owners.routes():
        path = getattr(route, "path", None)
        if path is None or not hasattr(route, "endpoint"):
            continue
        shape = path if "{" not in path else _NAME.sub("{", path)
        taken: dict[int, tuple[_Owned, list[str]]] = {}
        for method in _methods(route):
            winner = first.setdefault((method, shape), (route, owner))
            if winner[0] is route:
                continue
            # What is certain takes longer to find out than all the rest.
            if not is_found_by_its_path(winner[0]):
                first[method, shape] = (route, owner)
            elif _matches_the_same(winner[0], route) and winner[0].endpoint != route.endpoint:
                taken.setdefault(id(winner[0]), (winner, []))[1].append(method)
        if taken and not owners.is_built_in(owner):
            yield from (_mistake(methods, (route, owner), winner) for winner, methods in taken.values())


def _methods(route: BaseRoute) -> Iterable[str]:
    """Those of its methods that are certain; a class that answers says only when it is asked."""
    return ("websocket",) if isinstance(route, WebSocketRoute) else getattr(route, "methods", None) or ()


def _matches_the_same(first: Any, second: Any) -> bool:
    patterns = {_GROUP.sub("(", route.path_regex.pattern) for route in (first, second)}
    return is_found_by_its_path(second) and len(patterns) == 1


def _mistake(methods: Iterable[str], shadowed: _Owned, winner: _Owned) -> Mistake:
    (route, owner), (first, its_owner) = shadowed, winner
    place = where_is_function(first.endpoint)
    if its_owner is None:
        earlier = "opa-stack itself has it, by the setting OPENAPI_URL"
    elif its_owner == owner:
        earlier = f"it stands twice there, first at {place}"
    else:
        earlier = f"plugin '{its_owner}', which is loaded before, has it too: {place}"
    also = f", as {first.path}" if first.path != route.path else ""
    return Mistake(
        f"{','.join(sorted(methods))} {route.path} of plugin '{owner}' is never reached, since {earlier}{also}",
        plugin=owner,
        where=where_is_function(route.endpoint),
        hint="Change one of the paths, or take one of them out",
    )

"""Routes that are never reached, since another one before them has the same method and path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount, WebSocketRoute

from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.checks.owners import Owners
from opa.http.routing.shape import is_found_by_its_path

if TYPE_CHECKING:
    from opa.http.application import Api

_NAME = re.compile(r"\{\w+(:str(?=}))?")
_GROUP = re.compile(r"\(\?P<\w+>")

# A route and the name of its plugin.
_Owned = tuple[Any, str | None]


def shadowed_paths(app: Api) -> Iterator[Finding]:
    """A finding for each route all or some of whose methods another one has taken, with a path that matches the same.

    Names of parameters do not count, their converters do. Where the two routes are one function, that is as it should
    be. So are two that both come with opa-stack, but for those whose paths are settings.
    """
    owners = Owners(app)
    settings = _paths_of_settings(app)
    first: dict[tuple[str, str], _Owned] = {}
    for route, owner in owners.routes():
        path = getattr(route, "path", None)
        if isinstance(route, Mount) and path in settings and owner is not None:
            yield _hidden_mount(route, owner, settings[path])
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
        for winner, methods in taken.values():
            if not owners.is_built_in(owner) or path in settings:
                yield _finding(methods, (route, owner), winner, owners, settings.get(path))


def _paths_of_settings(app: Api) -> dict[str, str]:
    """The setting that each path of opa-stack's own is from."""
    config = app.manager.config
    names = ["OPENAPI_URL", "DOCS_URL", "REDOC_URL"]
    if config.OPERATING_PORT is None:
        names += ["READY_URL", "HEALTH_URL"]
    return {path: name for name in names if (path := config[name])}


def _methods(route: BaseRoute) -> Iterable[str]:
    """Those of its methods that are certain; a class that answers says only when it is asked."""
    return ("websocket",) if isinstance(route, WebSocketRoute) else getattr(route, "methods", None) or ()


def _matches_the_same(first: Any, second: Any) -> bool:
    return is_found_by_its_path(second) and have_same_pattern(first, second)


def have_same_pattern(first: Any, second: Any) -> bool:
    """Whether the paths of two routes are the same but for the names of parameters."""
    patterns = {_GROUP.sub("(", route.path_regex.pattern) for route in (first, second)}
    return len(patterns) == 1


def _hidden_mount(route: Mount, owner: str, setting: str) -> Finding:
    return Finding(
        f"what plugin '{owner}' mounts at {route.path} is not reached there, only below it, since opa-stack itself has"
        f" the path, by the setting {setting}",
        plugin=owner,
        where=f"setting {setting}",
        hint="Change one of the paths",
    )


def _finding(methods: Iterable[str], shadowed: _Owned, winner: _Owned, owners: Owners, setting: str | None) -> Finding:
    (route, owner), (first, its_owner) = shadowed, winner
    place = where_is_function(first.endpoint)
    if setting is not None and owners.is_built_in(its_owner):
        earlier = f"opa-stack itself has it, by the setting {setting}"
    elif its_owner == owner:
        earlier = f"it is defined twice there, first at {place}"
    else:
        earlier = f"plugin '{its_owner}', which is loaded before, has it too: {place}"
    also = f", as {first.path}" if first.path != route.path else ""
    is_own = setting is not None and owners.is_built_in(owner)
    whose = f"opa-stack (setting {setting})" if is_own else f"plugin '{owner}'"
    return Finding(
        f"{','.join(sorted(methods))} {route.path} of {whose} is never reached, since {earlier}{also}",
        plugin=its_owner if is_own else owner,
        where=where_is_function(route.endpoint),
        hint="Change or remove one of the paths",
    )

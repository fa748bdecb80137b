"""Routes that are never reached, since an earlier one takes every path that they have, and more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import PARAM_REGEX, Mount, WebSocketRoute

from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.checks.owners import Owners
from opa.checks.paths import have_same_pattern
from opa.http.routing.index import ANY, RouteIndex
from opa.http.routing.shape import shape_of

if TYPE_CHECKING:
    from opa.http.application import Api

# A value for each kind of parameter that no narrower kind takes; what takes it takes all that the kind does.
_VALUES = {
    "str": "~a",
    "int": "7",
    "float": "7.5",
    "uuid": "01234567-89ab-4def-8123-456789abcdef",
    "path": "~a/~b",
}


def routes_behind_wider_ones(app: Api) -> Iterator[Finding]:
    """A finding for each route of a plugin that an earlier one with parameters, or a mounted application, hides.

    Those of the same path are told by `paths`.
    """
    owners = Owners(app)
    index: RouteIndex[tuple[Any, str | None]] = RouteIndex()
    for route, owner in owners.routes():
        path, shape = getattr(route, "path", None), shape_of(route)
        if path is None or shape is ANY:
            continue
        sample = None if isinstance(route, Mount) or owners.is_built_in(owner) else _sample(path)
        if sample is not None:
            found = index.candidates(sample)
            hidden_by = next((each for each in found if _hides(each[0], route, sample)), None)
            if hidden_by is not None:
                yield _finding(route, owner, *hidden_by)
        if "{" in path or isinstance(route, Mount):
            index.add(shape, (route, owner))


def _sample(path: str) -> str | None:
    """A path that the route answers; none where it has parameters of an unknown kind."""
    kinds = {kind.lstrip(":") or "str" for _, kind in PARAM_REGEX.findall(path)}
    if not kinds <= _VALUES.keys():
        return None
    return PARAM_REGEX.sub(lambda found: _VALUES[(found.group(2) or ":str").lstrip(":")], path)


def _hides(wider: Any, route: Any, sample: str) -> bool:
    """Whether `wider` answers each request that `route` could."""
    if wider.path_regex.match(sample) is None:
        return False
    if isinstance(wider, Mount):
        return True
    methods, its_methods = getattr(route, "methods", None), getattr(wider, "methods", None)
    return (
        not have_same_pattern(wider, route)
        and isinstance(wider, WebSocketRoute) == isinstance(route, WebSocketRoute)
        and (methods is None) == (its_methods is None)
        and set(methods or ()) <= set(its_methods or ())
        and wider.endpoint != route.endpoint
    )


def _finding(route: Any, owner: str | None, wider: Any, its_owner: str | None) -> Finding:
    what = f"what is mounted at {wider.path or '/'}" if isinstance(wider, Mount) else wider.path
    place = "" if isinstance(wider, Mount) else f" ({where_is_function(wider.endpoint)})"
    whose = "" if its_owner == owner else f" of plugin '{its_owner}'" if its_owner else ", which a setup has added,"
    return Finding(
        f"{Owners.words_for(route, owner)} is never reached, since {what}{whose}{place} comes first and takes its path",
        plugin=owner,
        where=where_is_function(route.endpoint),
        hint="Write it before the other" if its_owner == owner else "Change one of the paths",
    )

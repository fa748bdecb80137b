"""Routes that lose a part of their paths to those that a convention makes, such as of static files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import Mount

from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.checks.owners import Owners
from opa.http.convention_routes import fixed_part, paths_below

if TYPE_CHECKING:
    from opa.http.application import Api


def routes_that_lose_a_part(app: Api) -> Iterator[Finding]:
    """A finding for each route, or mount, of a plugin that stands around the path of what a convention has made.

    Not for those that take every path there is: they are meant for what is left.
    """
    manager = app.manager
    if not manager.endpoints:
        return
    owners = Owners(app)
    made: list[tuple[Any, str, str]] = []
    for route, owner in owners.routes():
        convention = manager.convention_route(getattr(route, "endpoint", None))
        if convention is not None:
            made.append((route, convention.plugin, convention.convention))
            continue
        fixed = fixed_part(route)
        if len(fixed) < 2 or ("{" not in route.path and not isinstance(route, Mount)):  # type: ignore[attr-defined]
            continue
        for inner, plugin, name in made:
            if fixed_part(inner).startswith(fixed) and any(map(_regex(route).match, paths_below(inner))):
                yield _finding(route, owner, fixed_part(inner), f"the folder {name} of plugin '{plugin}'")


def _regex(route: Any) -> Any:
    return route.path_regex


def _finding(route: Any, owner: str | None, path: str, taken_by: str) -> Finding:
    is_mount = isinstance(route, Mount)
    what = f"what is mounted at {route.path}" if is_mount else Owners.words_for(route, owner)
    whose = f" by plugin '{owner}'" if is_mount and owner else ""
    return Finding(
        f"{what}{whose} gets nothing that is asked for below {path}, since {taken_by} comes first there",
        plugin=owner,
        where=where_is_function(route.app if is_mount else route.endpoint),
        hint="Change its path, or rename the folder",
    )

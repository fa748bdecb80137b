"""Applications that are mounted in a router, and routes of Starlette: they have less of it than its other routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from opa._compat.fastapi.inclusion import dependencies_of, prefix_of, router_in
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.core.register import PluginObjects
    from opa.http.application import Api


@dataclass(frozen=True)
class _Mounted:
    """A mount in a router.

    Attributes:
        found: the plugin.
        served: its path.
        meant: its path if the prefix of its router applied.
        has_dependencies: whether the routes beside it have dependencies of their router.
        is_route: whether it is a route of Starlette, and no mount.
    """

    found: PluginObjects
    served: str
    meant: str
    has_dependencies: bool
    is_route: bool = False


def mounts_without_prefix(app: Api) -> Iterator[Finding]:
    """A finding for each mount in a router that has a prefix: FastAPI does not put it before what is mounted."""
    for mount in _all_mounts(app):
        if mount.served != mount.meant:
            plugin = mount.found.plugin
            yield Finding(
                f"what plugin '{plugin.name}' mounts is served at {mount.served}, not at {mount.meant}, since the"
                " prefix of a router does not apply to what it mounts",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint=f"Mount it at {mount.meant}, or remove the prefix",
            )


def mounts_without_dependencies(app: Api) -> Iterator[Finding]:
    """A finding for each mount in a router that has dependencies, as for a signature, and each route of Starlette.

    FastAPI runs them for its own routes alone.
    """
    for mount in _all_mounts(app):
        if mount.has_dependencies:
            plugin = mount.found.plugin
            yield Finding(
                f"what plugin '{plugin.name}' {'adds' if mount.is_route else 'mounts'} at {mount.served} is served"
                " without the dependencies of its router: they apply to routes of FastAPI alone, and do not protect it",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint="Add it with a decorator of the router, such as @router.get, or to a router that has none"
                if mount.is_route
                else "Give the mounted application these dependencies, or mount it in a router that has none",
            )


def _all_mounts(app: Api) -> Iterator[_Mounted]:
    seen: set[int] = set()
    for found in app.manager.registry.objects:
        if found.router is None or found.plugin.name not in app.manager.roster or id(found.router) in seen:
            continue
        seen.add(id(found.router))
        yield from _mounts(found, found.router, "", has_dependencies=False)


def _mounts(found: PluginObjects, router: APIRouter, before: str, *, has_dependencies: bool) -> Iterator[_Mounted]:
    has_dependencies = has_dependencies or bool(router.dependencies)
    for route in router.routes:
        included = router_in(route)
        if included is not None:
            depends = has_dependencies or bool(dependencies_of(route))
            yield from _mounts(found, included, before + prefix_of(route), has_dependencies=depends)
        elif isinstance(route, Mount):
            served = before + (route.path or "/")
            is_meant = f"{route.path}/".startswith(f"{router.prefix}/")
            meant = served if is_meant else before + router.prefix + route.path
            yield _Mounted(found, served, meant, has_dependencies)
        elif _is_of_starlette(route):
            served = before + route.path
            yield _Mounted(found, served, served, has_dependencies, is_route=True)


def _is_of_starlette(route: BaseRoute) -> TypeGuard[Route | WebSocketRoute]:
    return isinstance(route, Route | WebSocketRoute) and not isinstance(route, APIRoute | APIWebSocketRoute)

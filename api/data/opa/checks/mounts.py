"""Applications that are mounted elsewhere than the prefix of their router suggests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.routing import Mount

from opa._compat.fastapi.inclusion import prefix_of, router_in
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.http.application import Api


def mounts_without_prefix(app: Api) -> Iterator[Finding]:
    """A finding for each mount in a router that has a prefix: FastAPI does not put it before what is mounted."""
    seen: set[int] = set()
    for found in app.manager.registry.objects:
        if found.router is None or found.plugin.name not in app.manager.roster or id(found.router) in seen:
            continue
        seen.add(id(found.router))
        for served, meant in _mounts(found.router, ""):
            yield Finding(
                f"what plugin '{found.plugin.name}' mounts is served at {served}, not at {meant}, since the prefix of"
                " a router does not apply to what it mounts",
                plugin=found.plugin.name,
                where=str(found.plugin.file.file),
                hint=f"Mount it at {meant}, or remove the prefix",
            )


def _mounts(router: APIRouter, before: str) -> Iterator[tuple[str, str]]:
    """Where each mount without the prefix of its router is served, and where it would be with it."""
    for route in router.routes:
        included = router_in(route)
        if included is not None:
            yield from _mounts(included, before + prefix_of(route))
        elif isinstance(route, Mount) and not f"{route.path}/".startswith(f"{router.prefix}/"):
            yield before + (route.path or "/"), before + router.prefix + route.path

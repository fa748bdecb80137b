"""At which paths the health of the process can be asked, and what answers there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Scope

from opa._compat.starlette import get_route_path

if TYPE_CHECKING:
    from opa.settings.load import Config


METHODS = frozenset({"GET", "HEAD"})
"""Those that a health route answers; any other may be a plugin's."""


def health_paths(config: Config) -> frozenset[str]:
    """The paths of the operating routes on the port of the api, of which there are none if they have one of their own.

    Each answers with and without the path under which a proxy serves the API.

    Args:
        config: reads `OPERATING_PORT` and `OPENAPI_PREFIX`, and what `operating_paths` reads.
    """
    if config.OPERATING_PORT is not None:
        return frozenset()
    return frozenset(prefix + path for path in operating_paths(config) for prefix in ("", config.OPENAPI_PREFIX))


def operating_paths(config: Config) -> frozenset[str]:
    """The paths of the operating routes, whichever port they are on.

    Args:
        config: reads `HEALTH_URL`, `READY_URL` and, where there is a port for it, `METRICS_URL`.
    """
    metrics = config.METRICS_URL if config.METRICS and config.OPERATING_PORT is not None else None
    return frozenset(path for path in (config.HEALTH_URL, config.READY_URL, metrics) if path)


class HealthRoutes:
    """The health routes, for requests that no plugin has seen: neither a login nor a page for every path may hide them.

    Args:
        routes: those of opa-stack; each has a path without parameters.

    Attributes:
        paths: at which they answer.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = tuple(routes)
        self.paths = frozenset(getattr(route, "path", None) for route in self._routes)

    def answer_to(self, scope: Scope) -> ASGIApp | None:
        """What answers the request; None where it does not ask for the health of the process."""
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        if path not in self.paths:
            return None
        for route in self._routes:
            match, more = route.matches(scope)
            if match is Match.FULL:
                scope.update(more)
                return route.handle
        return None

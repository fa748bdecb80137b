"""The lifespans of mounted applications: Starlette runs that of the outermost application alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount, Router
from starlette.types import Lifespan

from opa._compat.fastapi.inclusion import router_in
from opa.http.mount_points import RouteWithPlugin
from opa.http.plugin_lifespans import LifespanStarter


class MountedLifespans:
    """Runs the lifespan of each application of FastAPI or Starlette that is mounted, once.

    A plugin that runs one itself, as is usual without opa-stack, continues to do so.
    """

    def __init__(self) -> None:
        self._watched: dict[int, tuple[Router, Lifespan[Any]]] = {}
        self._by_plugins: set[int] = set()

    def watch(self, points: Iterable[RouteWithPlugin]) -> None:
        """Look from now on whether someone runs those that are mounted at `points`."""
        for router, _ in _mounted(route for route, _ in points):
            if id(router) not in self._watched:
                self._watched[id(router)] = router, router.lifespan_context
                router.lifespan_context = self._noted(id(router), router.lifespan_context)

    def _noted(self, key: int, lifespan: Lifespan[Any]) -> Callable[[Any], Any]:
        def run(app: Any) -> Any:
            self._by_plugins.add(key)
            return lifespan(app)

        return run

    async def start(
        self,
        points: Iterable[RouteWithPlugin],
        others: Iterable[Lifespan[Any]],
        starter: LifespanStarter,
        stack: AsyncExitStack,
    ) -> None:
        """Run those that are not run yet, the outermost first.

        Args:
            points: where applications are mounted.
            others: the lifespans of the plugins' routers, which have been entered. One of them may be that of a mounted
                application as well.
            starter: starts them.
            stack: the lifespans.
        """
        originals = [_unwrapped(lifespan) for lifespan in others]
        seen: set[int] = set()
        stack.callback(self._end)
        for route, plugin in points:
            for router, app in _mounted([route], seen):
                await starter.build("a mounted application", app, plugin)
                _, lifespan = self._watched.get(id(router), (router, router.lifespan_context))
                if id(router) in self._by_plugins or _unwrapped(lifespan) in originals:
                    continue
                self._by_plugins.add(id(router))  # it may be mounted twice
                await starter.start("a mounted application", lifespan, app, plugin)

    def _end(self) -> None:
        for router, lifespan in self._watched.values():
            router.lifespan_context = lifespan
        self._watched.clear()
        self._by_plugins.clear()


def _mounted(routes: Iterable[BaseRoute], seen: set[int] | None = None) -> Iterator[tuple[Router, Any]]:
    """The routers of the mounted applications, and these; one that is mounted in another comes after it.

    Args:
        routes: of an application or a router.
        seen: ids of the routers that have been looked into: one may be mounted inside itself.
    """
    seen = set() if seen is None else seen
    for route in routes:
        app: Any = None
        included = router_in(route)
        if included is not None:
            router: Router = included
        elif isinstance(route, Mount | Host):
            app = route.app
            while app is not None and not isinstance(app, Starlette | Router):  # middleware around it
                app = getattr(app, "app", None)
            if app is None:
                continue
            router = app.router if isinstance(app, Starlette) else app
        else:
            continue
        if id(router) in seen:
            continue
        seen.add(id(router))
        if app is not None:
            yield router, app
        yield from _mounted(router.routes, seen)


def _unwrapped(lifespan: Any) -> Any:
    """The function that was given: FastAPI makes a context manager of a generator."""
    return getattr(lifespan, "__wrapped__", lifespan)

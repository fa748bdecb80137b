"""Which plugin a route of an application is from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from opa.core.register import PluginObjects
    from opa.http.application import Api


class Owners:
    """The routes of an application, and the plugins whose `router` or folder they came with."""

    def __init__(self, app: Api) -> None:
        self._app = app
        self._plugins: dict[int, PluginObjects] = {}
        for found in app.manager.registry.objects:
            # A plugin may import the router of another one; the first has brought it into the application.
            if found.router is not None:
                self._plugins.setdefault(id(found.router), found)
        self._built_in = {found.plugin.name for found in self._plugins.values() if found.plugin.file.is_built_in}

    def routes(self) -> Iterator[tuple[BaseRoute, str | None]]:
        """Each route with the name of its plugin, in the order in which they are tried; none for the document's own."""
        for route, router in self._app.routes_with_routers():
            found = self._plugins.get(id(router))
            made = self._app.manager.convention_route(getattr(route, "endpoint", None))
            yield route, found.plugin.name if found else made.plugin if made else None

    def is_built_in(self, name: str | None) -> bool:
        """Whether the plugin comes with opa-stack."""
        return name is None or name in self._built_in

    @staticmethod
    def words_for(route: BaseRoute, owner: str | None) -> str:
        """`GET /path of plugin '…'`."""
        path = getattr(route, "path", "")
        methods = ",".join(sorted(getattr(route, "methods", None) or ()))
        return f"{methods or 'websocket'} {path} of plugin '{owner}'" if owner else f"{methods} {path}"

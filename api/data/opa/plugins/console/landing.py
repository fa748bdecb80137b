"""The page at `/` in development, if nothing of the project answers there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from opa import Setup, config, get_plugin_manager, is_development
from opa.introspection import plugins_of, routes_of
from opa.plugins.console import documentation
from opa.plugins.console.page import READ
from opa.plugins.console.readers import reader_of
from opa.plugins.console.rendering import answer
from opa.plugins.console.routes import no_page, templates


class Landing(Setup):
    """Adds the page behind all routes that there are, and one for what the console has not."""

    def run(self, app: Any) -> None:
        """Add it, in development. Files of a frontend come behind all routes, and would be hidden by it."""
        if below := config.CONSOLE_URL.rstrip("/"):
            app.add_route(f"{below}/{{path:path}}", no_page, methods=["GET", "HEAD"], include_in_schema=False)
        if is_development() and not app.has_frontends():
            app.add_route("/", landing, methods=["GET", "HEAD"], include_in_schema=False)


async def landing(request: Request) -> Response:
    """The page.

    Raises:
        HTTPException: the host is no name of this machine (403).
    """
    await reader_of(request, READ)
    manager = get_plugin_manager()
    routes = [route for route in routes_of(request.app) if not route.built_in]
    own = [plugin for plugin in plugins_of(manager) if not plugin.built_in]
    own_docs = config.CONSOLE_URL.rstrip("/") + documentation.PATH if documentation.is_installed() else None
    context = {
        "plugins": [(plugin, [route for route in routes if plugin.name in route.plugins]) for plugin in own],
        "folder": next((_from_here(folder) for folder in manager.folders), ""),
        "docs": [
            (config.DOCS_URL, "Documentation of the API"),
            (config.REDOC_URL, "The same on one page, by ReDoc"),
            (own_docs, "Documentation of opa-stack"),
        ],
    }
    return answer(templates.html("landing.html", request, context))


def _from_here(folder: Path) -> str:
    here = Path.cwd()
    return f"{folder.relative_to(here)}/" if folder.is_relative_to(here) else f"{folder}/"

"""The files in `static/` of plugins, below `/static/<plugin>/`: in development, and elsewhere by the setting STATIC.

Nothing more is imported where no plugin has such a folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from opa import Convention, Hook, HookDefinition, config, is_development

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from starlette.routing import BaseRoute


def _routes(plugin: str, folder: Path | Traversable) -> Iterable[BaseRoute]:
    if config.STATIC == "no" or (config.STATIC == "auto" and not is_development()):
        return ()
    from opa.plugins.static_files.serving import routes_of

    return routes_of(plugin, folder)


STATIC = Convention("static/", "files that are served below /static/NAME/", routes=_routes)


class StaticUrlDefinition(HookDefinition):
    """Makes the URL of a static file, for `static_url`."""

    name = "static.url"

    def run(self, plugin: str, path: str) -> str:
        """Give the URL of the file `path` in the folder `static/` of `plugin`."""
        raise NotImplementedError


class StaticUrl(Hook):
    """The path at which it is served, with the digest of the file."""

    name = "static.url"
    order = -1

    def run(self, plugin: str, path: str) -> str:
        """Give the path.

        Raises:
            OpaError: there is no such plugin, or no such file.
        """
        from opa.plugins.static_files.urls import url_of

        return url_of(STATIC, plugin, path)

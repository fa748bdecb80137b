"""The URLs of static files."""

from __future__ import annotations

from urllib.parse import quote

from opa import Convention, OpaError, config, get_plugin_manager, nearest
from opa.plugins.static_files.folder import Folder, folder_of, known_folders

URL = "/static"
PARAMETER = "v"


def url_of(static: Convention, plugin: str, path: str) -> str:
    """The path of the file on this server, with its digest.

    Args:
        static: the convention that finds the folders.
        plugin: the name of the plugin.
        path: of the file in its folder.

    Raises:
        OpaError: there is no such plugin, or no such file in it that is served.
    """
    folder = known_folders().get(plugin) or _found(static, plugin, path)
    found = folder.find(path)
    if found is None:
        raise OpaError(
            f"static_url({plugin!r}, {path!r}): static/ of the plugin has no such file, or none that is served",
            where=folder.root(),
            hint="Write its path in that folder, such as css/app.css; docs/static-files.md has names that are refused",
        )
    return f"{config.OPENAPI_PREFIX}{URL}/{plugin}/{quote(path)}?{PARAMETER}={folder.digest(found)}"


def _found(static: Convention, plugin: str, path: str) -> Folder:
    places = get_plugin_manager().found(static)
    if plugin not in places:
        near = nearest(plugin, places)
        raise OpaError(
            f"static_url({plugin!r}, {path!r}): no plugin of that name is loaded and has a folder static/",
            hint=f"'{near}' is meant, perhaps" if near else f"Those that have one: {', '.join(places) or 'none'}",
        )
    return folder_of(plugin, places[plugin])

"""The pages of all plugins, and of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import config, get_plugin_manager
from opa.introspection import PluginInfo, plugins_of, routes_of
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader
from opa.plugins.console.routes_page import docs_link, with_traffic
from opa.plugins.console.settings_page import SETTINGS, rows_of
from opa.plugins.console.tasks_page import functions

SOURCE = "console:source"
MOST_SOURCE = 200_000
"""Characters of a file that are shown."""
MOST_FILES = 200


async def all_plugins(_request: Request, _reader: Reader) -> Context:
    """What the template of all plugins needs."""
    plugins = plugins_of(get_plugin_manager())
    return {
        "own": [plugin for plugin in plugins if not plugin.built_in],
        "built_in": [plugin for plugin in plugins if plugin.built_in],
    }


async def one_plugin(request: Request, reader: Reader) -> Context:
    """What the template of one plugin needs.

    Raises:
        HTTPException: there is no such plugin, or no such file of it (404).
    """
    name = request.path_params["name"]
    manager = get_plugin_manager()
    plugin = next((found for found in plugins_of(manager) if found.name == name), None)
    if plugin is None:
        raise HTTPException(404, "there is no such plugin")
    beginning = f"PLUGIN_SETTINGS.{manager.plugin_settings.key_of(name)}."
    return {
        "plugin": plugin,
        "tasks": [task for task, run in functions().items() if manager.plugin_of_module(run.__module__) == name],
        "rows": await with_traffic(route for route in routes_of(request.app) if name in route.plugins),
        "has_traffic": config.METRICS,
        "docs_link": docs_link,
        "settings_rows": [row for row in rows_of(manager) if row[0].startswith(beginning)]
        if reader.can(SETTINGS)
        else [],
        **(_source(plugin, request.query_params.get("file")) if reader.can(SOURCE) else {"files": None}),
    }


def _source(plugin: PluginInfo, asked: str | None) -> Context:
    file = Path(plugin.file)
    folder = file.parent if file.name == "__init__.py" else file if file.is_dir() else None
    files = sorted(_sources(folder)) if folder else [file]
    names = [str(each.relative_to(folder or file.parent)) for each in files]
    if asked is not None and asked not in names:  # of those that there are, so no path leads elsewhere
        raise HTTPException(404, "the plugin has no such file")
    shown = asked or ("__init__.py" if "__init__.py" in names else next(iter(names), ""))
    text = _text_of(files[names.index(shown)]) if shown else ""
    return {"files": names, "shown": shown, "text": text[:MOST_SOURCE], "is_cut": len(text) > MOST_SOURCE}


def _text_of(file: Path) -> str:
    try:
        if not file.is_file():
            return "(the file is gone)"
        with file.open("rb") as content:  # no more than is shown, however large it is
            return content.read(4 * MOST_SOURCE + 4).decode(errors="replace").replace("\r\n", "\n")
    except OSError as error:
        return f"(the file cannot be read: {error.strerror})"


def _sources(folder: Path) -> Iterator[Path]:
    count = 0
    for file in folder.rglob("*.py"):
        if file.is_file() and not file.is_symlink():
            yield file
            count += 1
        if count == MOST_FILES:
            return

"""A plugin is imported from where it was found, without a search of all of `sys.path`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from opa.loading.discover import PluginFile


class KnownPlaces:
    """Finds the plugins in their plugin paths, which are the last entries of `sys.path`.

    Python asks this finder before it looks into each entry before them, of which it takes longer than for all else that
    is done with a small plugin.

    Args:
        plugins: those that are loaded. What has the name of an installed module is not to be among them.
    """

    def __init__(self, plugins: Iterable[PluginFile]) -> None:
        self._folders = {plugin.module: str(plugin.folder) for plugin in plugins}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to import the plugin; nothing for any other module, or where its plugin path is not in `sys.path`."""
        folder = self._folders.get(name) if path is None else None
        return PathFinder.find_spec(name, [folder]) if folder is not None and folder in sys.path else None


def install(plugins: Iterable[PluginFile]) -> None:
    """Find these plugins from now on, and no others."""
    finders: list[object] = [finder for finder in sys.meta_path if not isinstance(finder, KnownPlaces)]
    # Right before Python's own: the finders of others, such as those that compile modules differently, come first.
    place = finders.index(PathFinder) if PathFinder in finders else len(finders)
    finders.insert(place, KnownPlaces(plugins))
    sys.meta_path[:] = finders  # type: ignore[assignment]  # what has find_spec, whatever its class

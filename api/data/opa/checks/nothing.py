"""Plugin paths from which nothing is loaded, as where a folder is mounted that is not the one that was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from opa.checks.finding import Finding
from opa.loading.discover import BUILT_IN_FOLDER

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def nothing_from_plugin_paths(manager: PluginManager) -> Iterator[Finding]:
    """A finding where no plugin is from a plugin path; an installed one is enough where there is no such path."""
    plugins = [found.plugin.file for found in manager.registry.objects if not found.plugin.file.is_built_in]
    folders = [folder for folder in manager.folders if folder != BUILT_IN_FOLDER]
    if any(plugin.folder is not None for plugin in plugins) or (plugins and not folders):
        return
    found = [decision.plugin for decision in manager.decisions if decision.plugin.folder in folders]
    if number := len(found) + len(manager.refused):
        problem = f"there {'is one' if number == 1 else f'are {number}'} in {_all(folders)}, and none is in"
        hint = "'opa plugins' says why each is skipped"
    else:
        paths = manager.config.PLUGIN_PATHS
        missing = f"{_all(paths)} does not exist" if paths else "PLUGIN_PATHS names none"
        problem = f"there is none in {_all(folders)}" if folders else missing
        hint = "Put a plugin there, or name their folder in PLUGIN_PATHS. In a container, look at the mounts"
    yield Finding(
        f"no plugin is loaded from a plugin path: {problem}", where=manager.config.source("PLUGIN_PATHS"), hint=hint
    )


def _all(paths: Iterable[object]) -> str:
    return " and ".join(f"'{path}'" for path in paths)

"""Modules of plugins that are imported by another name than their own, or are there twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.finding import Finding
from opa.loading.second_names import second_names
from opa.logging.folding import library_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

_OF_PROGRAMS = ("__main__", "__mp_main__")


def imports_by_second_names(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each module that the user's own code imports so: it works where the folder is a package alone."""
    for each in second_names():
        if library_of(each.file) is None:
            yield Finding(
                f"'{each.name}' is imported, which is '{each.own_name}' of plugin"
                f" '{manager.plugin_of_module(each.own_name) or each.own_name.partition('.')[0]}' under a second name",
                where=f"{each.file}:{each.line}",
                hint=f"Write {each.own_name}, which every program with the plugins knows",
            )


def modules_that_are_there_twice(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each module of a plugin that was loaded once more, by its file or before the plugins were."""
    own = {
        path: (found.plugin.name, module)
        for found in manager.registry.objects
        if not found.plugin.file.is_built_in
        for module in (found.plugin.module, *found.plugin.parts.values())
        if module.__file__
        for path in {module.__file__, os.path.realpath(module.__file__)}
    }
    for name, other in list(sys.modules.items()):
        file = getattr(other, "__dict__", {}).get("__file__")
        plugin, module = own.get(file, ("", other)) if isinstance(file, str) else ("", other)
        if other is not module and name not in _OF_PROGRAMS:
            yield Finding(
                f"'{module.__name__}' of plugin '{plugin}' is there twice, also as module '{name}', with all that it"
                " keeps",
                plugin=plugin,
                where=f"{file}:1",
                hint=f"Import {module.__name__}, once the plugins are loaded, and not its file",
            )

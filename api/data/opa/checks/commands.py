"""Commands of plugins that cannot be called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.objects import is_a
from opa._util.words import kind_of
from opa.checks.finding import Finding
from opa.loading import conventions
from opa.loading.plugin_commands import unreadable_files, with_problems

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def commands_out_of_reach(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each command whose name another one has, or whose group is none, and each file that is not read."""
    plugins = [found.plugin.file for found in manager.registry.objects]
    for plugin, file, why in unreadable_files(plugins):
        yield Finding(
            f"plugin '{plugin.name}' has no command of its {file.name}, since that {why}",
            where=str(file),
            hint="Let this process read the file, or remove it",
            plugin=plugin.name,
        )
    for found in manager.registry.objects:
        name, value = conventions.COMMANDS.name, found.plugin.attribute(conventions.COMMANDS)
        if value is not None and not _is_application(value):
            yield Finding(
                f"'{name}' of plugin '{found.plugin.name}' is {kind_of(value)}, and no Typer application",
                where=str(found.plugin.file.file),
                hint=f"Write {name} = typer.Typer(), or give it another name",
                plugin=found.plugin.name,
            )
    for command, problem in with_problems(plugins):
        if problem is not None:
            yield Finding(
                f"the command '{' '.join(command.path)}' of plugin '{command.plugin.name}' cannot be called: {problem}",
                where=str(command.plugin.file),
                hint='Give it another name by the key "commands" of the plugin\'s metadata',
                plugin=command.plugin.name,
            )


def _is_application(value: object) -> bool:
    return "typer" in sys.modules and is_a(value, sys.modules["typer"].Typer)

"""Commands of plugins that cannot be called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.finding import Finding
from opa.loading.plugin_commands import with_problems

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def commands_out_of_reach(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each command whose name another one has, or whose group is none."""
    for command, problem in with_problems(found.plugin.file for found in manager.registry.objects):
        if problem is not None:
            yield Finding(
                f"the command '{' '.join(command.path)}' of plugin '{command.plugin.name}' cannot be called: {problem}",
                where=str(command.plugin.file),
                hint='Give it another name by the key "commands" of the plugin\'s metadata',
                plugin=command.plugin.name,
            )

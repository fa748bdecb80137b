"""Threads that a plugin starts while it is imported, and that are gone in the processes which do the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def threads_of_imports(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each plugin that left a thread running; none where the api imports its plugins after the fork."""
    if not manager.config.PRELOAD:
        return
    for plugin in (found.plugin for found in manager.registry.objects):
        if plugin.threads:
            many = "s" if len(plugin.threads) > 1 else ""
            yield Finding(
                f"plugin '{plugin.name}' starts the thread{many} {', '.join(map(repr, plugin.threads))} while it is "
                "imported, and the processes that are forked afterwards, to serve or to run tasks, do not have it",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint="Start it in a Setup or in ready(); or set PRELOAD: false for the api",
            )

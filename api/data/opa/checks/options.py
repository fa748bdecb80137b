"""Entries of `PLUGIN_OPTIONS` for plugins that do not exist, and plugins that settings do not tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.distributions import canonical_name
from opa._util.suggestions import nearest
from opa.checks.finding import Finding
from opa.core.plugin_names import plugins_alike
from opa.loading.candidates import hint_where_for_others
from opa.loading.former_plugins import hint_for_former

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

SETTING = "PLUGIN_OPTIONS"


def options_without_plugin(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each; one for a plugin that may be missing, or cannot be loaded, is as it should be."""
    if not manager.config.PLUGIN_OPTIONS:
        return
    names = [decision.plugin.name for decision in manager.decisions]
    known = {canonical_name(name) for name in (*names, *manager.plugin_settings.expected)}
    for key in manager.config.PLUGIN_OPTIONS:
        if canonical_name(str(key)) not in known:
            near = nearest(str(key).lower(), names)
            yield Finding(
                f"{SETTING} has '{key}', and there is no plugin of this name",
                where=manager.config.source(f"{SETTING}.{key}"),
                hint=hint_where_for_others(manager.folders, str(key))
                or hint_for_former(str(key))
                or (f"Did you mean '{near}'?" if near else "Write a name that 'opa plugins' shows, or remove it"),
            )


def plugins_of_one_name(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each plugin whose name differs from that of an earlier one by dashes, underscores or case alone."""
    names = [plugin.name for plugin in manager.roster.plugins]
    if len({canonical_name(name) for name in names}) == len(names):
        return
    for plugin in manager.roster.plugins:
        first = plugins_alike(plugin.name, names)[0]
        if first != plugin.name:
            yield Finding(
                f"the names of the plugins '{first}' and '{plugin.name}' are one for variables and for requirements",
                plugin=plugin.name,
                where=plugin.where,
                hint="Rename one of them",
            )

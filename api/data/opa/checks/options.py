"""Entries of `PLUGIN_OPTIONS` for plugins that there are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from opa.checks.mistake import Mistake
from opa.core.candidates import hint_where_for_others
from opa.core.former_plugins import hint_for_former
from opa.core.suggestions import nearest

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

SETTING = "PLUGIN_OPTIONS"


def options_without_plugin(manager: PluginManager) -> Iterator[Mistake]:
    """A mistake for each; one for a plugin that may be missing, or cannot be loaded, is as it should be."""
    if not manager.config.PLUGIN_OPTIONS:
        return
    names = [decision.plugin.name for decision in manager.decisions]
    known = {canonicalize_name(name) for name in (*names, *manager.plugin_settings.expected)}
    for key in manager.config.PLUGIN_OPTIONS:
        if canonicalize_name(str(key)) not in known:
            near = nearest(str(key).lower(), names)
            yield Mistake(
                f"{SETTING} has '{key}', and there is no plugin of this name",
                where=manager.config.source(f"{SETTING}.{key}"),
                hint=hint_where_for_others(manager.folders, str(key))
                or hint_for_former(str(key))
                or (f"Did you mean '{near}'?" if near else "Write a name that 'opa plugins' shows, or remove it"),
            )

"""Entries of filters that name no plugin or a misspelt tag, and names of former plugins."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.suggestions import nearest
from opa.checks.finding import Finding
from opa.loading.candidates import hint_where_for_others
from opa.loading.former_plugins import FORMER, hint_for_former
from opa.loading.installed import NamedPlugin

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

SETTINGS = ("PLUGIN_WHITELIST_LIST", "PLUGIN_BLACKLIST_LIST")
TAGS = ("PLUGIN_WHITELIST_TAGS", "PLUGIN_BLACKLIST_TAGS")
EXPRESSIONS = ("PLUGIN_WHITELIST_RE", "PLUGIN_BLACKLIST_RE")


def entries_without_plugin(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each entry that chooses nothing.

    One that names a plugin which is there, and is not looked for in this env, is as it should be.
    """
    entries = [(setting, entry) for setting in SETTINGS for entry in manager.config.get(setting)]
    if not entries:
        return
    plugins = [decision.plugin for decision in manager.decisions]
    known = {plugin.match_path for plugin in plugins}
    known |= {NamedPlugin.from_entry(entry).module for entry in manager.config.INSTALLED_PLUGINS}
    by_name = {plugin.name: plugin.match_path for plugin in reversed(plugins)}
    for setting, entry in entries:
        path = Path(entry).absolute()
        # A blacklist may name it: then it is skipped, as is meant.
        for_others = hint_where_for_others([path.parent], path.name) if setting == SETTINGS[0] else None
        if entry in known or (_is_there(path, manager.folders) and not for_others):
            continue
        yield Finding(
            f"{setting} has '{entry}', and no plugin of this path and name was found",
            where=manager.config.source(setting),
            hint=for_others or _hint(entry, by_name),
        )


def misspelt_tags(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each tag of a filter that no plugin has, where one has a tag that is spelt nearly so.

    Others may be meant for plugins of another env.
    """
    entries = [(setting, tag) for setting in TAGS for tag in manager.config.get(setting)]
    if not entries:
        return
    known = {tag for decision in manager.decisions for tag in decision.plugin.metadata.tags}
    for setting, tag in entries:
        if tag not in known and (near := nearest(tag, known)):
            yield Finding(
                f"{setting} has '{tag}', and no plugin has this tag",
                where=manager.config.source(setting),
                hint=f"Did you mean '{near}'?",
            )


def expressions_for_former_plugins(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each name of a plugin of an earlier version in a regular expression."""
    there = {decision.plugin.name for decision in manager.decisions}
    for setting in EXPRESSIONS:
        for name, hint in FORMER.items():
            if name in manager.config.get(setting) and name not in there:
                yield Finding(
                    f"{setting} has '{name}', and there is no plugin of this name",
                    where=manager.config.source(setting),
                    hint=hint,
                )


def _is_there(path: Path, folders: Collection[Path]) -> bool:
    """Whether it is a plugin all the same, or a folder that the entry keeps from being taken for one."""
    return (
        Path(f"{path}.py").is_file() or (path / "__init__.py").is_file() or (path.parent in folders and path.is_dir())
    )


def _hint(entry: str, by_name: Mapping[str, str]) -> str:
    path = entry.rstrip("/").removesuffix("/__init__.py").removesuffix(".py")
    name = path.rpartition("/")[2].rpartition(".")[2]
    near = nearest(name, by_name)
    return hint_for_former(name) or (
        f"Did you mean '{by_name[near]}'?"
        if near
        else "Write it as 'opa plugins' shows its file, without .py or /__init__.py"
    )

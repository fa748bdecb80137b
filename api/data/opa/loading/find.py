"""Which plugins there are, and which of them are loaded, before anything of them is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opa.loading.candidates import Problem, Refuse, Refused
from opa.loading.discover import PluginFile, find_plugins, first_of_each_name, plugin_folders
from opa.loading.filters import Decision, PluginFilters, decide
from opa.loading.installed import NamedPlugin, announced_plugins, named_plugins
from opa.loading.packages_folder import use_packages_folder
from opa.loading.plugin_paths import DEFAULT_PLUGIN_PATH, trusted_plugin_paths
from opa.loading.policy import Policy

if TYPE_CHECKING:
    from opa.settings.load import Config


_LINK_HINT = "Remove the link, and import the plugin by its own name; or skip the plugin by a filter"


class Found(NamedTuple):
    """What is found before anything is imported.

    Attributes:
        folders: the plugin paths, the built-in one last.
        policy: what the settings say about single plugins.
        decisions: every plugin, and whether the filters let it through.
        refused: what looks like a plugin, and cannot be loaded.
    """

    folders: tuple[Path, ...]
    policy: Policy
    decisions: tuple[Decision, ...]
    refused: tuple[Refused, ...]


def find(config: Config) -> Found:
    """Find the plugins, and decide which of them are loaded. None is imported.

    Raises:
        OpaError: a mistake in the settings, or in a plugin path.
    """
    use_packages_folder(config)  # which may have plugins as well
    folders = find_folders(config)
    policy, refused = Policy.from_config(config), list[Refused]()
    found = first_of_each_name(_all(config, folders, policy, refused.append))
    decisions = decide(found, PluginFilters.from_config(config))
    decisions = _each_once(decisions, refused.append)
    return Found(folders, policy, decisions, tuple(sorted(refused, key=lambda each: each.path)))


def _each_once(decisions: tuple[Decision, ...], refuse: Refuse) -> tuple[Decision, ...]:
    """The same without links to what is loaded anyway: as a plugin of its own, all in it would be there twice."""
    loaded = [each.plugin for each in decisions if each.load and not each.plugin.is_built_in]
    links = [plugin for plugin in loaded if plugin.folder is not None and plugin.place.is_symlink()]
    if not links:
        return decisions
    first: dict[str, PluginFile] = {}
    linked: dict[str, PluginFile] = {}
    for plugin in (*(each for each in loaded if each not in links), *links):
        real = os.path.realpath(plugin.place)
        kept = first.setdefault(real, plugin)
        if kept is not plugin:
            refuse(Refused(plugin.place, plugin.name, Problem(f"is a link to plugin '{kept.name}'", _LINK_HINT)))
            first[real] = linked[kept.name] = kept._replace(links=(*kept.links, plugin.place))
    gone = {plugin.name for plugin in links} - {plugin.name for plugin in first.values()}
    return tuple(
        each._replace(plugin=linked.get(each.plugin.name, each.plugin))
        for each in decisions
        if each.plugin.name not in gone
    )


def find_folders(config: Config) -> tuple[Path, ...]:
    """The folders that the plugin paths name, the built-in one last.

    Raises:
        PluginPathError: one cannot be used, or would make root run what another user has written.
    """
    return plugin_folders(
        trusted_plugin_paths(config), may_be_missing=[DEFAULT_PLUGIN_PATH], limit=config.PLUGIN_IMPORT_TIMEOUT
    )


def _all(config: Config, folders: Iterable[Path], policy: Policy, refuse: Refuse) -> Iterator[PluginFile]:
    """Every plugin: those in the plugin paths, then installed ones, and last those that come with opa-stack."""
    in_folders = find_plugins(folders, refuse)
    yield from (plugin for plugin in in_folders if not plugin.is_built_in)
    yield from named_plugins(map(NamedPlugin.from_entry, config.INSTALLED_PLUGINS), policy)
    if config.PLUGIN_AUTOLOAD:
        yield from announced_plugins(policy)
    yield from (plugin for plugin in in_folders if plugin.is_built_in)

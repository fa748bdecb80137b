"""Which plugins there are, and which of them are loaded, before anything of them is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opa.loading.candidates import Refuse, Refused
from opa.loading.discover import PluginFile, find_plugins, first_of_each_name, plugin_folders
from opa.loading.filters import Decision, PluginFilters, decide
from opa.loading.installed import NamedPlugin, announced_plugins, named_plugins
from opa.loading.packages_folder import use_packages_folder
from opa.loading.plugin_paths import DEFAULT_PLUGIN_PATH, trusted_plugin_paths
from opa.loading.policy import Policy

if TYPE_CHECKING:
    from opa.settings.load import Config


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
    return Found(folders, policy, tuple(decisions), tuple(sorted(refused, key=lambda each: each.path)))


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

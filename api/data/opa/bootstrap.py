"""The steps before the fork, one after another: settings, discover, filter, order, import, register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opa._util.garbage import no_collection
from opa.core.groups import MIDDLEWARE, Entry, Groups
from opa.core.manager import Loaded, PluginManager
from opa.core.plugin_settings import PluginSettingsStore
from opa.core.preparation import components_that_wait, prepare_component, prepare_components
from opa.core.running import Loading, loading, set_running
from opa.current import current, state
from opa.errors import PluginError, SettingsError
from opa.loading import conventions
from opa.loading.candidates import Refuse, Refused
from opa.loading.discover import PluginFile, find_plugins, first_of_each_name, plugin_folders
from opa.loading.filters import Decision, PluginFilters, decide
from opa.loading.importing import import_plugins
from opa.loading.installed import NamedPlugin, announced_plugins, named_plugins
from opa.loading.plugin_paths import DEFAULT_PLUGIN_PATH, plugin_paths, refuse_foreign, taken_plugin_paths
from opa.loading.policy import Policy
from opa.loading.roster import Roster
from opa.logging.logger import keep_logging, log, setup_logging
from opa.settings import load as settings
from opa.settings.components import task_components
from opa.settings.load import Config
from opa.tasks.pending import PendingTasks

RUNNERS = {
    "api": "uvicorn",
    "worker": "celery",
    "beat": "beat",
    "flower": "celery",
    "shell": "ipython",
    "command": "command",
}
"""What `state["runner"]` says in each mode, for plugins that read it; opa-stack itself hands the mode down."""


@dataclass(frozen=True)
class Found:
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


def prepare(config: Config | None = None, *, mode: str = "", submodules: Sequence[str] = ()) -> PluginManager:
    """Load the plugins, and make the plugin manager that results the running one. Needs no network.

    Args:
        config: the settings; by default they are loaded from their usual places.
        mode: what this process runs, see `PluginManager.mode`.
        submodules: more submodules of plugins that are imported with them.

    Raises:
        OpaError: a mistake in settings or plugins; which subclass says in which step.
    """
    if config is None:
        config = settings.load_settings()
    settings.config.adopt(config)
    setup_logging(config)
    if mode in RUNNERS:
        state["runner"] = RUNNERS[mode]
    with no_collection():
        return _load(config, mode, submodules)


def find(config: Config) -> Found:
    """Find the plugins, and decide which of them are loaded. None is imported.

    Raises:
        OpaError: a mistake in the settings, or in a plugin path.
    """
    folders = plugin_folders(
        _plugin_paths(config), may_be_missing=[DEFAULT_PLUGIN_PATH], limit=config.PLUGIN_IMPORT_TIMEOUT
    )
    policy, refused = Policy.from_config(config), list[Refused]()
    found = first_of_each_name(_found(config, folders, policy, refused.append))
    decisions = decide(found, PluginFilters.from_config(config))
    return Found(folders, policy, tuple(decisions), tuple(sorted(refused, key=lambda each: each.path)))


def _load(config: Config, mode: str, submodules: Sequence[str]) -> PluginManager:
    found = find(config)
    folders, policy, decisions, refused = found.folders, found.policy, found.decisions, found.refused
    for decision in decisions:
        _log(decision)
    roster = Roster([decision.plugin for decision in decisions if decision.load], policy)
    tasks, groups = PendingTasks(), Groups()
    plugin_settings = PluginSettingsStore(
        config, {decision.plugin.module: decision.plugin.name for decision in decisions}, _expected(config, refused)
    )
    with loading(Loading(tasks, frozenset(task_components(config)), groups, plugin_settings)):
        plugins = import_plugins(roster, folders, submodules)
        skipped = [decision.plugin.module for decision in decisions if decision.plugin.name in roster.skipped]
        groups.add_from_settings(_groups(config), skipped)
    current.log_fields = tuple(member.value for member in groups.members(conventions.LOG_FIELDS_GROUP.name))
    keep_logging(config)
    manager = PluginManager(
        Loaded(config, mode, folders, decisions, refused, roster, plugins, tasks, groups, plugin_settings)
    )
    _check_settings(manager)
    set_running(manager)
    prepare_components(manager)
    for name in components_that_wait(manager):
        if manager.drivers[manager.component_states[name].driver_name.lower()].runs_tasks:
            tasks.when_made(partial(prepare_component, manager, name))
    return manager


def _plugin_paths(config: Config) -> list[str]:
    """The plugin paths of this process.

    Raises:
        PluginPathError: that would make root run what another user has written.
    """
    paths = plugin_paths(config)  # first: what is made after this look is not used
    for folder in taken_plugin_paths(config):
        refuse_foreign(folder)
    return paths


def _found(config: Config, folders: Iterable[Path], policy: Policy, refuse: Refuse) -> Iterator[PluginFile]:
    """Every plugin: those in the plugin paths, then installed ones, and last those that come with opa-stack."""
    in_folders = find_plugins(folders, refuse)
    yield from (plugin for plugin in in_folders if not plugin.is_built_in)
    yield from named_plugins(map(NamedPlugin.from_entry, config.INSTALLED_PLUGINS), policy)
    if config.PLUGIN_AUTOLOAD:
        yield from announced_plugins(policy)
    yield from (plugin for plugin in in_folders if plugin.is_built_in)


def _expected(config: Config, refused: Iterable[Refused]) -> frozenset[str]:
    """The names of plugins that are not there, and of which that is known: installed ones, and those in a bad shape."""
    installed = (NamedPlugin.from_entry(entry).module.rpartition(".")[2] for entry in config.INSTALLED_PLUGINS)
    return frozenset([*installed, *(each.name for each in refused)])


def _groups(config: Config) -> dict[str, list[Entry]]:
    groups = {group: [Entry.from_setting(entry) for entry in entries] for group, entries in config.PLUGINS.items()}
    groups.setdefault(MIDDLEWARE, []).extend(Entry.from_setting(entry) for entry in config.MIDDLEWARE)
    return groups


def _check_settings(manager: PluginManager) -> None:
    """Validate the settings of all plugins, and report every mistake in them at once.

    Raises:
        SettingsError: there are mistakes.
        PluginError: the settings of a plugin that may not be skipped cannot be made.
    """
    mistakes = manager.plugin_settings.unknown()
    for found in manager.registry.objects:
        if found.settings is not None and found.plugin.name in manager.roster:
            try:
                manager.plugin_settings.of(found.settings)
            except SettingsError as error:
                mistakes += error.mistakes
            except PluginError as error:
                manager.skip(found.plugin.name, error)
    mistakes = list(dict.fromkeys(mistakes))
    if mistakes:
        many = f"{len(mistakes)} mistakes in the settings of plugins: " if len(mistakes) > 1 else ""
        raise SettingsError(many + "; ".join(mistakes), mistakes=tuple(mistakes))


def _log(decision: Decision) -> None:
    what = "skipped, " + ", ".join(decision.reasons) if decision.reasons else "loaded"
    log.log("TRACE" if decision.load else "DEBUG", f"plugin {decision.plugin.match_path}: {what}")

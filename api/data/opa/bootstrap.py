"""The steps before the fork, one after another: settings, discover, filter, order, import, register."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from opa._util.garbage import no_collection
from opa.core.groups import MIDDLEWARE, Entry, Groups
from opa.core.manager import Loaded, PluginManager
from opa.core.plugin_settings import PluginSettingsStore
from opa.core.preparation import components_that_wait, prepare_component, prepare_components
from opa.core.running import Loading, loading, set_running
from opa.current import current, state
from opa.errors import PluginError, SettingsError
from opa.loading import conventions
from opa.loading.candidates import Refused
from opa.loading.filters import Decision
from opa.loading.find import find
from opa.loading.importing import import_plugins
from opa.loading.installed import NamedPlugin
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
"""What `state["runner"]` says in each mode, for plugins of the original; opa-stack itself hands the mode down."""


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
        state.update(runner=RUNNERS[mode], mode=mode)
    with no_collection():
        return _load(config, mode, submodules)


def _load(config: Config, mode: str, submodules: Sequence[str]) -> PluginManager:
    found = find(config)
    folders, policy, decisions, refused = found.folders, found.policy, found.decisions, found.refused
    for decision in decisions:
        _log(decision)
    filtered = [decision for decision in decisions if not decision.load]
    roster = Roster([decision.plugin for decision in decisions if decision.load], policy, filtered)
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

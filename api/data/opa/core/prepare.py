"""The steps before the fork, one after another: settings, discover, filter, import, register."""

from __future__ import annotations

from opa.core import settings
from opa.core.components import prepare_components
from opa.core.discover import find_plugins, plugin_folders
from opa.core.filters import PluginFilters, decide
from opa.core.importing import import_plugins
from opa.core.log import log, setup_logging
from opa.core.manager import Loading, PluginManager, loading, set_running
from opa.core.register import register
from opa.core.settings import Config
from opa.tasks.application import TaskApplication

# The default of PLUGIN_PATHS: it is there in the image, and on a laptop it need not be.
DEFAULT_PLUGIN_PATH = "/plugins"


def prepare(config: Config | None = None) -> PluginManager:
    """Load the plugins, and make the plugin manager that results the running one. Needs no network.

    Args:
        config: the settings; by default they are loaded from their usual places.

    Raises:
        OpaError: a mistake in settings or plugins; which subclass says in which step.
    """
    if config is None:
        config = settings.load_settings()
    settings.config.adopt(config)
    setup_logging(config)
    folders = plugin_folders(config.PLUGIN_PATHS, may_be_missing=[DEFAULT_PLUGIN_PATH])
    decisions = decide(find_plugins(folders), _filters(config))
    for decision in decisions:
        _log(decision.plugin.match_path, decision.reasons)
    celery = TaskApplication()
    with loading(Loading(celery, _celery_components(config))):
        plugins = import_plugins([decision.plugin for decision in decisions if decision.load], folders)
    manager = PluginManager(config, decisions, register(plugins), celery)
    set_running(manager)
    prepare_components(manager)
    return manager


def _celery_components(config: Config) -> frozenset[str]:
    """The names by which plugins of the original opa-stack get the Celery application while they are imported."""
    components = config.OPTIONAL_COMPONENTS.items()
    return frozenset(name.lower() for name, options in components if options["DRIVER"].lower() == "celery")


def _filters(config: Config) -> PluginFilters:
    return PluginFilters(
        whitelist_list=frozenset(config.PLUGIN_WHITELIST_LIST),
        whitelist_re=config.PLUGIN_WHITELIST_RE,
        whitelist_tags=frozenset(config.PLUGIN_WHITELIST_TAGS),
        blacklist_list=frozenset(config.PLUGIN_BLACKLIST_LIST),
        blacklist_re=config.PLUGIN_BLACKLIST_RE,
        blacklist_tags=frozenset(config.PLUGIN_BLACKLIST_TAGS),
    )


def _log(path: str, reasons: tuple[str, ...]) -> None:
    log.debug(f"plugin {path}: {'left out, ' + ', '.join(reasons) if reasons else 'loaded'}")

"""Decide which of the plugins that were found are loaded, and say why."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opa._util.watchdog import TimeLimitError, time_limit
from opa.errors import FilterError
from opa.loading.discover import PluginFile

if TYPE_CHECKING:
    from opa.settings.load import Config


TIME_LIMIT = 5.0
"""Seconds for a regular expression, over all plugins."""
SHOWN = 100
"""Characters of an expression that an error shows."""


class PluginFilters(NamedTuple):
    """The filter settings. A filter that is empty lets everything through; the others must all agree.

    `…_list` and `…_re` are matched against `PluginFile.match_path`: a list entry is the whole of it, a regular
    expression matches from its beginning. The whitelists choose among the user's plugins; built-in plugins, without
    which no component has a driver, can be refused by a blacklist alone.
    """

    whitelist_list: frozenset[str] = frozenset()
    whitelist_re: str = ""
    whitelist_tags: frozenset[str] = frozenset()
    blacklist_list: frozenset[str] = frozenset()
    blacklist_re: str = ""
    blacklist_tags: frozenset[str] = frozenset()

    @classmethod
    def from_config(cls, config: Config) -> PluginFilters:
        """The filters of the settings."""
        return cls(
            whitelist_list=frozenset(config.PLUGIN_WHITELIST_LIST),
            whitelist_re=config.PLUGIN_WHITELIST_RE,
            whitelist_tags=frozenset(config.PLUGIN_WHITELIST_TAGS),
            blacklist_list=frozenset(config.PLUGIN_BLACKLIST_LIST),
            blacklist_re=config.PLUGIN_BLACKLIST_RE,
            blacklist_tags=frozenset(config.PLUGIN_BLACKLIST_TAGS),
        )


class Decision(NamedTuple):
    """Whether a plugin is loaded; where it is not, `reasons` has each filter that refused it."""

    plugin: PluginFile
    reasons: tuple[str, ...] = ()

    @property
    def load(self) -> bool:
        """Whether no filter refused the plugin."""
        return not self.reasons


def decide(plugins: Iterable[PluginFile], filters: PluginFilters) -> tuple[Decision, ...]:
    """Put each plugin through all filters.

    Raises:
        FilterError: a regular expression of the settings does not compile, or takes too long.
    """
    plugins = tuple(plugins)
    in_whitelist = _matches("PLUGIN_WHITELIST_RE", filters.whitelist_re, plugins)
    in_blacklist = _matches("PLUGIN_BLACKLIST_RE", filters.blacklist_re, plugins)
    whitelist_list = _with_absolute(filters.whitelist_list)
    blacklist_list = _with_absolute(filters.blacklist_list)

    def refusals(plugin: PluginFile) -> Iterable[str]:
        path, tags = plugin.match_path, plugin.metadata.tags
        if not plugin.is_built_in:
            if whitelist_list and path not in whitelist_list:
                yield "not in PLUGIN_WHITELIST_LIST"
            if filters.whitelist_re and path not in in_whitelist:
                yield f"PLUGIN_WHITELIST_RE '{filters.whitelist_re}' does not match"
            if filters.whitelist_tags and not tags & filters.whitelist_tags:
                yield "none of its tags is in PLUGIN_WHITELIST_TAGS"
        if path in blacklist_list:
            yield "in PLUGIN_BLACKLIST_LIST"
        if path in in_blacklist:
            yield f"PLUGIN_BLACKLIST_RE '{filters.blacklist_re}' matches"
        if tags & filters.blacklist_tags:
            yield f"tag '{min(tags & filters.blacklist_tags)}' is in PLUGIN_BLACKLIST_TAGS"

    if filters == PluginFilters():
        return tuple(Decision(plugin) for plugin in plugins)
    return tuple(Decision(plugin, tuple(refusals(plugin))) for plugin in plugins)


def _with_absolute(entries: Iterable[str]) -> set[str]:
    """The entries, and those that are paths from the current folder as whole paths."""
    return {path for entry in entries for path in (entry, str(Path(entry).absolute()))}


def _matches(setting: str, pattern: str, plugins: Iterable[PluginFile]) -> frozenset[str]:
    """The paths of the plugins that the expression matches."""
    if not pattern:
        return frozenset()
    try:
        with time_limit(TIME_LIMIT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of what a later Python may read otherwise
            expression = re.compile(pattern)
            return frozenset(plugin.match_path for plugin in plugins if expression.match(plugin.match_path))
    except TimeLimitError:
        raise FilterError(
            f"{setting} '{_short(pattern)}' takes longer than {TIME_LIMIT:g} s",
            where=f"setting {setting}",
            hint="Repeat nothing that is repeated itself, such as (a+)+",
        ) from None
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or "it is too large"
        raise FilterError(
            f"{setting} '{_short(pattern)}' is not a regular expression: {problem}",
            where=f"setting {setting}",
            hint="Fix the expression; a literal dot or bracket needs a backslash before it",
        ) from None


def _short(pattern: str) -> str:
    return pattern if len(pattern) <= SHOWN else f"{pattern[:SHOWN]}…"

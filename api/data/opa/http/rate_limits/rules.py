"""The setting RATE_LIMITS: which limit holds for a request, by its path, its plugin, or for all else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from opa._util.rates import Rate, rates_in
from opa.http.access.rules import check_plugins, longest, readings, segments_of
from opa.http.rate_limits.callers import Kind
from opa.settings.access import EVERYTHING_ELSE
from opa.settings.schema import UNLIMITED


class Rule(NamedTuple):
    """An entry of the setting.

    Attributes:
        name: its key; requests are counted apart for each.
        rates: all of them hold; none where what it names is not limited.
        by: whose requests are counted together.
    """

    name: str
    rates: tuple[Rate, ...]
    by: Kind


class Rules:
    """Those of one application. One holds for a request: the longest path beats a plugin, and a plugin beats `*`.

    Attributes:
        by_plugin: for the names of plugins.
    """

    def __init__(self, setting: Mapping[str, Mapping[str, Any]]) -> None:
        rules = {key: _rule(key, entry) for key, entry in setting.items()}
        self._otherwise = rules.pop(EVERYTHING_ELSE, None)
        self._by_path = {segments_of(key): rule for key, rule in rules.items() if key.startswith("/")}
        self.by_plugin = {key: rule for key, rule in rules.items() if not key.startswith("/")}

    def check_plugins(self, known: Collection[str]) -> None:
        """See that there are the plugins that they name: one that is misspelt would have no limit.

        Raises:
            SettingsError: there is one that is not known.
        """
        check_plugins("RATE_LIMITS", self.by_plugin, known)

    def for_request(self, path: str, plugins: Callable[[], Collection[str]]) -> Rule | None:
        """The rule for a request; None where there is none.

        Args:
            path: as it is routed. It may be read in more than one way: the first that has a rule counts.
            plugins: gives the names of those whose route it is; called only where the path does not decide.
        """
        if self._by_path:
            for reading in readings(path):
                if found := longest(self._by_path, reading):
                    return found
        if self.by_plugin:
            for name in sorted(plugins()):
                if name in self.by_plugin:
                    return self.by_plugin[name]
        return self._otherwise


def _rule(key: str, entry: Mapping[str, Any]) -> Rule:
    limit: str = entry["LIMIT"]
    is_unlimited = limit.strip().lower() == UNLIMITED
    return Rule(f"RATE_LIMITS.{key}", () if is_unlimited else rates_in(limit), entry["BY"])

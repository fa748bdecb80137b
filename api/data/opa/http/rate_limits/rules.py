"""The setting RATE_LIMITS: which limit holds for a request, by its path, its plugin, or for all else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from opa._util.rates import Rate, rates_in
from opa.http.access.rules import Paths, check_plugins, readings, segments_of
from opa.http.rate_limits.callers import Kind
from opa.settings.access import EVERYTHING_ELSE
from opa.settings.rate_limits import UNLIMITED


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
        self._by_path = Paths({segments_of(key): rule for key, rule in rules.items() if key.startswith("/")})
        self.by_plugin = {key: rule for key, rule in rules.items() if not key.startswith("/")}
        self._are_none = not setting

    def check_plugins(self, known: Collection[str]) -> None:
        """See that there are the plugins that they name: one that is misspelt would have no limit.

        Raises:
            SettingsError: there is one that is not known.
        """
        check_plugins("RATE_LIMITS", self.by_plugin, known)

    def for_request(self, path: str, plugins: Callable[[], Collection[str]]) -> Sequence[Rule]:
        """The rules for a request; mostly one, or none.

        Args:
            path: as it is routed. It may be read in more than one way: it is counted by the rule of each.
            plugins: gives the names of those whose route it is; called only where the path does not decide.
        """
        if self._are_none:  # as where only routes have limits
            return ()
        found: list[Rule | None] = [None]
        if self._by_path:
            found = [self._by_path.longest(reading) for reading in readings(path)]
        if None in found:
            found.append(self._for_plugins(plugins() if self.by_plugin else ()))
        return [rule for rule in dict.fromkeys(found) if rule is not None]

    def _for_plugins(self, plugins: Collection[str]) -> Rule | None:
        return next((self.by_plugin[name] for name in sorted(plugins) if name in self.by_plugin), self._otherwise)


def _rule(key: str, entry: Mapping[str, Any]) -> Rule:
    limit: str = entry["LIMIT"]
    is_unlimited = limit.strip().lower() == UNLIMITED
    return Rule(f"RATE_LIMITS.{key}", () if is_unlimited else rates_in(limit), entry["BY"])

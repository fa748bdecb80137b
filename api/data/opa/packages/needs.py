"""What the plugins need, each with the plugin and the place that says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opa._util.distributions import canonical_name
from opa._util.sources import from_here
from opa.errors import PackagesError
from opa.loading.discover import PluginFile, find_plugins, first_of_each_name
from opa.loading.filters import PluginFilters, decide
from opa.loading.find import find_folders
from opa.loading.own_extras import stands_for

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from opa.settings.load import Config

OLDEST_PYTHON, NEWEST_PYTHON = 11, 30
"""The second number of a version: the first that opa-stack runs with, and where a search for others ends."""


@dataclass(frozen=True)
class Need:
    """A package that a plugin needs.

    Attributes:
        plugin: its name.
        where: the file, or `file:line`, that says so.
        requirement: name, extras, versions, condition.
        asked: what the plugin says: the same, or an extra of opa-stack that the requirement belongs to.
    """

    plugin: str
    where: str
    requirement: Requirement
    asked: Requirement

    @property
    def name(self) -> str:
        """The name of the package, as all its spellings have it."""
        return canonical_name(self.requirement.name)

    @property
    def text(self) -> str:
        """The requirement in one spelling."""
        return str(self.requirement)

    @property
    def by(self) -> str:
        """Who needs it: the plugin, with the extra."""
        return self.plugin if self.asked is self.requirement else f"{self.plugin} ({self.asked})"

    @property
    def through(self) -> str:
        """The extra, in words that follow the requirement; empty where there is none."""
        return "" if self.asked is self.requirement else f" for {self.asked}"

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' needs {self.text}{self.through} ({from_here(self.where)})"


def plugins_in_folders(config: Config) -> tuple[PluginFile, ...]:
    """The plugins of all plugin paths, without those that come with opa-stack; nothing is imported.

    Raises:
        PluginPathError: a plugin path cannot be used.
    """
    found = first_of_each_name(find_plugins(find_folders(config)))
    return tuple(plugin for plugin in found if not plugin.is_built_in)


def loaded_plugins(config: Config) -> tuple[PluginFile, ...]:
    """Those of them that the filters let through.

    Raises:
        OpaError: a plugin path or a filter cannot be used.
    """
    decisions = decide(plugins_in_folders(config), PluginFilters.from_config(config))
    return tuple(decision.plugin for decision in decisions if decision.load)


def needs_of(plugins: Iterable[PluginFile]) -> tuple[Need, ...]:
    """What the plugins need, by plugin and then as they say it.

    Raises:
        PluginError: the metadata of a plugin is wrong.
        PackagesError: a plugin names an address instead of versions, another version of opa-stack, or an extra that
            it does not have.
    """
    return tuple(need for plugin in sorted(plugins, key=lambda plugin: plugin.name) for need in _needs(plugin))


def _needs(plugin: PluginFile) -> Iterator[Need]:
    if plugin.error is not None:
        raise plugin.error
    for requirement, where in zip(plugin.metadata.packages, plugin.metadata.packages_from, strict=True):
        if requirement.url is not None:
            raise PackagesError(
                f"plugin '{plugin.name}' needs '{requirement}', an address",
                where=where,
                hint="Write name and versions, such as 'name>=1.0': packages come from the index of this machine",
            )
        try:
            found = stands_for(requirement)
        except PackagesError as error:
            raise PackagesError(f"plugin '{plugin.name}' needs {error.problem}", where=where, hint=error.hint) from None
        yield from (Need(plugin.name, where, each, requirement) for each in found)


def told_together(needs: Iterable[Need]) -> tuple[str, ...]:
    """Each need as a sentence; those that a plugin has because of the same extra are one."""
    texts: dict[tuple[str, str, str], list[str]] = {}
    for need in needs:
        alone = "" if need.through else need.text
        texts.setdefault((need.plugin, f"{need.through} ({from_here(need.where)})", alone), []).append(need.text)
    return tuple(f"plugin '{plugin}' needs {', '.join(found)}{rest}" for (plugin, rest, _), found in texts.items())


def lowest_python(plugins: Iterable[PluginFile]) -> str:
    """The lowest Python that opa-stack and all plugins work with, such as `3.11`.

    Raises:
        PackagesError: there is none.
    """
    ranges: dict[str, SpecifierSet] = {
        plugin.name: plugin.metadata.python for plugin in plugins if plugin.metadata.python is not None
    }
    for minor in range(OLDEST_PYTHON, NEWEST_PYTHON):
        versions = (f"3.{minor}.0", f"3.{minor}.99")
        if all(any(range_.contains(version) for version in versions) for range_ in ranges.values()):
            return f"3.{minor}"
    told = ", ".join(f"'{name}' {range_}" for name, range_ in sorted(ranges.items()))
    raise PackagesError(
        f"there is no Python from 3.{OLDEST_PYTHON} on that all plugins work with: {told}",
        hint="Change requires-python of one of them",
    )

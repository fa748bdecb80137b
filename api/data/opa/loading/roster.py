"""Which plugins are in, in which order, and which were skipped because they, or what they require, are broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opa.errors import PluginError, RequirementError
from opa.loading.discover import PluginFile
from opa.loading.filters import Decision
from opa.loading.order import by_name, in_order, refuse_missing_packages, required_plugin, unmet
from opa.loading.policy import Policy
from opa.logging.logger import log


class Roster:
    """The plugins that every step from import to serving works on.

    Args:
        plugins: those that the filters let through, as they were found.
        policy: says for each whether it may be skipped.
        filtered: those that they do not let through, each with the reasons.

    Attributes:
        plugins: those that are in, in load order.
        skipped: the error of each that is not, by plugin name.

    Raises:
        PluginError: a plugin is broken, or has a requirement that is not met, and may not be skipped.
        MissingPackagesError: more than one of them needs packages that are not installed.
    """

    def __init__(self, plugins: Sequence[PluginFile], policy: Policy, filtered: Iterable[Decision] = ()) -> None:
        self.policy = policy
        self._filtered = tuple(filtered)
        self.plugins = tuple(plugins)
        self._names = {plugin.name for plugin in plugins}
        self.skipped: dict[str, PluginError] = {}
        self._gone: dict[str, PluginFile] = {}
        for plugin in plugins:
            if plugin.error is not None:
                self.skip(plugin.name, plugin.error)
        refuse_missing_packages(plugin for plugin in self.plugins if not policy.skips(plugin.name))
        self._drop_unmet()
        self._put_in_order()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def skip(self, name: str, error: PluginError) -> None:
        """Skip the plugin `name` because of `error`, and every plugin that requires it.

        Raises:
            PluginError: `error`, where the policy for the plugin is not `skip`.
        """
        if not self.policy.skips(name):
            raise error
        log.error(f"plugin '{name}' is skipped: {error}")
        self.skipped[name] = error
        self._gone = by_name([*self._gone.values(), *(plugin for plugin in self.plugins if plugin.name == name)])
        self.plugins = tuple(plugin for plugin in self.plugins if plugin.name != name)
        self._names.discard(name)
        self._drop_unmet()

    def count(self) -> int:
        """How many plugins are in, without those that come with opa-stack."""
        return sum(not plugin.is_built_in for plugin in self.plugins)

    def skipped_as_told(self) -> list[dict[str, str]]:
        """Name, status and reason of each plugin that is not in, without the paths of this machine."""
        return [{"name": name, "status": "skipped", "reason": error.problem} for name, error in self.skipped.items()]

    def _drop_unmet(self) -> None:
        named = by_name(self.plugins)
        for plugin in self.plugins:
            error = unmet(plugin, named)
            if error is not None:
                self.skip(plugin.name, self._because_of_another(plugin) or self._because_of_filters(plugin) or error)
                return

    def _because_of_another(self, plugin: PluginFile) -> RequirementError | None:
        for requirement in plugin.metadata.requires:
            other = required_plugin(requirement, self._gone)
            if other is not None:
                return RequirementError(
                    f"plugin '{plugin.name}' requires the plugin '{requirement}', which is skipped:"
                    f" {self.skipped[other.name].problem}",
                    plugin=plugin.name,
                    where=str(plugin.file),
                    hint=f"Fix the plugin '{other.name}'",
                )
        return None

    def _because_of_filters(self, plugin: PluginFile) -> RequirementError | None:
        filtered = by_name(each.plugin for each in self._filtered)
        there = by_name(self.plugins)
        for requirement in plugin.metadata.requires:
            other = required_plugin(requirement, filtered)
            if other is not None and required_plugin(requirement, there) is None:
                (decision,) = [each for each in self._filtered if each.plugin is other]
                return RequirementError(
                    f"plugin '{plugin.name}' requires the plugin '{requirement}', which a filter skips:"
                    f" {'; '.join(decision.reasons)}",
                    plugin=plugin.name,
                    where=str(plugin.file),
                    hint=f"Let the filter pass '{other.name}', or skip '{plugin.name}' as well",
                )
        return None

    def _put_in_order(self) -> None:
        while True:
            try:
                self.plugins = in_order(self.plugins)
            except RequirementError as error:
                self.skip(error.plugin or "", error)
            else:
                return

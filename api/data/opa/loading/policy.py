"""What the settings say about single plugins: what to do where one is broken, and how long its steps may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opa._util.distributions import canonical_name

if TYPE_CHECKING:
    from opa.settings.load import Config

Step = Literal["IMPORT", "READY", "STARTUP", "SHUTDOWN"]


class Policy(NamedTuple):
    """The settings `PLUGIN_FAILURE` and `PLUGIN_…_TIMEOUT`, and what `PLUGIN_OPTIONS` says for one plugin instead.

    Names of plugins are compared as those of packages are: `My-Auth` is `my_auth`, unless both are there.
    """

    failure: str
    limits: Mapping[str, float]
    options: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_config(cls, config: Config) -> Policy:
        """The policy of the settings."""
        return cls(
            failure=config.PLUGIN_FAILURE,
            limits={
                "IMPORT": config.PLUGIN_IMPORT_TIMEOUT,
                "READY": config.PLUGIN_READY_TIMEOUT,
                "STARTUP": config.PLUGIN_STARTUP_TIMEOUT,
                "SHUTDOWN": config.PLUGIN_SHUTDOWN_TIMEOUT,
            },
            options={
                spelling(str(name)): options
                for spelling in (canonical_name, str.lower)
                for name, options in config.PLUGIN_OPTIONS.items()
            },
        )

    def skips(self, plugin: str) -> bool:
        """Whether `plugin` is skipped where it is broken, instead of stopping the start."""
        return bool(self._option(plugin, "FAILURE", self.failure) == "skip")

    def limit(self, plugin: str, step: Step) -> float:
        """Seconds that a step of `plugin` may take."""
        return float(self._option(plugin, f"{step}_TIMEOUT", self.limits[step]))

    def _option(self, plugin: str, key: str, default: Any) -> Any:
        if not self.options:
            return default
        options = self.options.get(plugin.lower()) or self.options.get(canonical_name(plugin)) or {}
        value = options.get(key)
        return default if value is None else value

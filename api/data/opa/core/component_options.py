"""The options that a component's driver gets: those that were written for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opa.loading.discover import BUILT_IN_PACKAGE
from opa.settings.sources import DEFAULTS_FILE

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.settings.load import Config


def options_of(config: Config, component: str, driver: type[Driver]) -> Mapping[str, Any]:
    """The OPTS of a component.

    Those of `default-settings.yaml`, and the addresses of `opa up`, are for the drivers that come with opa-stack: a
    driver of a plugin's own has no use for them, unless it is made from one of these.
    """
    options: Any = config.OPTIONAL_COMPONENTS[component]["OPTS"]
    if any(kind.__module__.startswith(f"{BUILT_IN_PACKAGE}.") for kind in driver.__mro__):
        return options  # type: ignore[no-any-return]
    own = {key: value for key, value in options.items() if not is_default(config, f"{component}.OPTS.{key}")}
    return options if len(own) == len(options) else type(options)(own)  # type: ignore[no-any-return]


def default_urls(config: Config, component: str, options: Any) -> list[str]:
    """Those of the options with an address that are not set.

    Args:
        options: what the driver has made of them, which may be anything.
    """
    written = config.get(f"OPTIONAL_COMPONENTS.{component}.OPTS") or {}
    kept = {str(key).upper() for key in options} if isinstance(options, Mapping) else set()
    return [
        key
        for key in map(str, written.keys())
        if key.upper().endswith("URL")
        and key.upper() in kept
        and config.source(_setting(component, key)).startswith(DEFAULTS_FILE.name)
    ]


def is_default(config: Config, name: str) -> bool:
    """Whether the user has not written the option with this name, or any part of it."""
    sources = {leaf.source for leaf in config.leaves(f"OPTIONAL_COMPONENTS.{name}")}
    return all(source.startswith((DEFAULTS_FILE.name, "opa up")) and ", " not in source for source in sources)


def _setting(component: str, key: str) -> str:
    return f"OPTIONAL_COMPONENTS.{component}.OPTS.{key}"

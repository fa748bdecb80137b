"""Which plugin a name in the settings means: a variable has neither small letters nor dashes."""

from __future__ import annotations

from collections.abc import Iterable

from opa._util.distributions import canonical_name


def plugins_meant(name: str, plugins: Iterable[str]) -> list[str]:
    """Those of `plugins` that a key may stand for: the one that is called so, or else all that are alike."""
    alike = plugins_alike(name, plugins)
    return [plugin for plugin in alike if plugin.lower() == name.lower()] or alike


def plugins_alike(name: str, plugins: Iterable[str]) -> list[str]:
    """Those of `plugins` whose name differs from `name` by dashes, underscores and case alone, by name."""
    wanted = canonical_name(name)
    return sorted({plugin for plugin in plugins if canonical_name(plugin) == wanted})

"""What looks like a plugin, and cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.finding import Finding
from opa.loading.discover import as_plugin
from opa.loading.filters import PluginFilters, decide

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def refused_plugins(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each, but for those that a filter would skip."""
    filters = PluginFilters.from_config(manager.config)
    for refused in manager.refused:
        (decision,) = decide([as_plugin(refused)], filters)
        if decision.load:
            yield Finding(
                f"'{refused.path.name}' is not loaded, since it {refused.problem.what}",
                plugin=refused.name,
                where=str(refused.path),
                hint=refused.problem.hint,
            )

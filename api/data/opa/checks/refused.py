"""What looks like a plugin, and cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.mistake import Mistake
from opa.core.discover import PluginFile
from opa.core.filters import PluginFilters, decide

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def refused_plugins(manager: PluginManager) -> Iterator[Mistake]:
    """A mistake for each, but for those that a filter would leave out."""
    filters = PluginFilters.of(manager.config)
    for refused in manager.refused:
        path = refused.path
        (decision,) = decide([PluginFile(refused.name, path.parent, path, False, refused.name)], filters)
        if decision.load:
            yield Mistake(
                f"'{path.name}' is not loaded, since it {refused.problem.what}",
                plugin=refused.name,
                where=str(path),
                hint=refused.problem.hint,
            )

"""What was loaded, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

SHOWN = 12
"""Names of plugins that are told."""


def overview(manager: PluginManager, routes: int | None = None) -> str:
    """`3 plugins loaded (hello, report, shop), 1 skipped (old); 12 routes, 3 tasks`.

    Plugins that come with opa-stack are there as always, and do not count.

    Args:
        manager: the plugins.
        routes: how many they have; None where nothing serves them.
    """
    plugins = [found.plugin for found in manager.registry.objects if not found.plugin.file.is_built_in]
    skipped = [
        decision.plugin.name
        for decision in manager.decisions
        if decision.plugin.name not in manager.roster and not decision.plugin.is_built_in
    ]
    skipped += [refused.path.name for refused in manager.refused]
    told = [_counted(len(plugins), "plugin") + " loaded" + _names([plugin.name for plugin in plugins])]
    if skipped:
        told.append(f"{len(skipped)} skipped{_names(skipped)}")
    counts = [] if routes is None else [_counted(routes, "route")]
    functions = manager.tasks.functions().values()
    tasks = sum(not function.__module__.startswith(("celery.", "opa.")) for function in functions)
    return f"{', '.join(told)}; {', '.join([*counts, _counted(tasks, 'task')])}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _names(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return f" ({', '.join([*names[:SHOWN], *more])})"

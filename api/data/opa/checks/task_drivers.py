"""Drivers that run tasks, and that TASK_DRIVERS does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.sources import where_is
from opa.checks.finding import Finding
from opa.settings.components import task_components

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def unnamed_task_drivers(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each component: a worker runs its tasks, and `opa up`, which imports no plugin, starts none."""
    known = task_components(manager.config)
    for name, state in manager.component_states.items():
        if state.driver is not None and state.driver.runs_tasks and name not in known:
            kind = type(state.driver)
            yield Finding(
                f"component '{name}' has the driver '{state.driver_name}', which runs tasks, and TASK_DRIVERS does not "
                "name it: opa up starts no worker for it, and plugins do not get it while they are imported",
                plugin=manager.registry.plugin_of[kind],
                where=where_is(kind),
                hint=f"Set TASK_DRIVERS to {[*manager.config.TASK_DRIVERS, state.driver_name]}",
            )

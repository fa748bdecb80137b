"""What a command has sent is in the runs of tasks before it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def tell_observers(manager: PluginManager) -> None:
    """Have what the observers of tasks are told written, which a thread does that ends with the command."""
    from opa.tasks.application import application_of

    if observers := application_of(manager).observers:
        observers.stop()

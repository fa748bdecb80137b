"""What the settings say of components, before any driver is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.settings.config import Config


def task_components(config: Config) -> dict[str, Any]:
    """The options of the components that run tasks, as TASK_DRIVERS says, by name in lower case."""
    drivers = {name.lower() for name in config.TASK_DRIVERS}
    components = config.OPTIONAL_COMPONENTS.items()
    return {name.lower(): options for name, options in components if options["DRIVER"].lower() in drivers}

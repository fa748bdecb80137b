"""Where servers may be named: what a start looks at before it imports a check.

It is imported at each start, and so it is small.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

VARIABLES_WITH_SERVERS = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"),
    *("CELERY_COMMAND", "CELERY_PARAMS", "FLOWER_BROKER_API"),
)
"""The variables that Celery and Flower read by themselves, and the command line; what they say beats the settings."""
_OF_TASKS = ("CELERY_BEAT_SCHEDULE", "CELERY_TASK_ANNOTATIONS", "CELERY_TASK_QUEUES", "CELERY_TASK_ROUTES")
"""The settings of Celery that have arguments and names of the user's own."""


class Start:
    """What is about to start.

    Args:
        config: the settings.
        environ: the environment variables.
        mode: what is to run.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], mode: str) -> None:
        self.config = config
        self.environ = environ
        self.mode = mode


def names_servers(config: Config, environ: Mapping[str, str]) -> bool:
    """Whether anything that the user has written may say something of a server."""
    from opa.core.component_options import is_default  # which each start imports

    if any(map(environ.get, VARIABLES_WITH_SERVERS)) or any(settings_with_servers(config)):
        return True
    components = config.OPTIONAL_COMPONENTS.items()
    return any(each["LOAD"] != "no" and not is_default(config, name) for name, each in components)


def settings_with_servers(config: Config) -> Iterator[str]:
    """The names of the settings of Celery that may say something of a server."""
    for name in config:
        if name.startswith("CELERY_") and name not in _OF_TASKS:
            value = config.get(name)
            is_text = isinstance(value, str) and ("://" in value or name.endswith("PASSWORD"))
            if value and (is_text or isinstance(value, Mapping | list | tuple)):
                yield name


def uses_celery(manager: PluginManager) -> bool:
    """Whether plugins have tasks, or a component has given a Celery application to a hook."""
    return manager.tasks.are_used or any(given_applications(manager))


def given_applications(manager: PluginManager) -> Iterator[Any]:
    """The Celery applications of components: what the hook `driver.celery.setup` has made of that of the plugins."""
    drivers = (state.driver for state in manager.component_states.values())
    found = (getattr(driver, "app", None) for driver in drivers if driver is not None and driver.runs_tasks)
    yield from filter(None, found)

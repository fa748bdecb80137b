"""What concerns Celery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opa.checks.deploy.addresses import used_components
from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.finding import Finding
from opa.errors import OpaError

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

_HINTS = {
    "accept_content": 'Set it to ["json"]',
    "result_accept_content": 'Set it to ["json"]',
    "event_serializer": "Set it to json",  # what reads events, a worker or Flower, takes them in this format too
}
SETTINGS_OF_FORMATS = tuple(_HINTS)
"""Those of Celery by which a format is read."""
MODES_THAT_READ = ("api", "worker", "flower")
"""Those that read messages, or results of tasks; a beat only sends."""
_UNSAFE = ("pickle", "application/x-python-serialize", "yaml", "application/x-yaml")
"""Formats in which a message may run code when it is read, by name and by content type."""


def unsafe_formats(deployment: Deployment) -> Iterator[Finding]:
    """Whether who can write to the broker runs code in a worker, and who can write results does in the api."""
    if not deployment.manager.tasks.functions():
        yield from unsafe_formats_in_settings(deployment)
    else:
        yield from unsafe_formats_in_application(deployment.manager, deployment.mode)


def unsafe_formats_in_application(manager: PluginManager, mode: str) -> Iterator[Finding]:
    """The same of the settings that Celery has, which may be those of a plugin's code."""
    from opa.tasks.application import application_of  # it imports Celery

    settings = application_of(manager).conf
    for name in SETTINGS_OF_FORMATS:
        yield from _unsafe(name, settings[name], f"setting {name} of Celery", mode)


def unsafe_formats_in_settings(deployment: Declared) -> Iterator[Finding]:
    """The same, as far as it can be told before plugins are loaded; those may set others in code."""
    config = deployment.config
    for name in SETTINGS_OF_FORMATS:
        setting = f"CELERY_{name.upper()}"
        yield from _unsafe(name, config.get(setting), setting, deployment.mode, config)
        for component, options in used_components(config):
            for key, value in options.items():
                if str(key).lower() == name:
                    option = f"OPTIONAL_COMPONENTS.{component}.OPTS.{key}"
                    yield from _unsafe(name, value, option, deployment.mode, config)


def _unsafe(name: str, accepted: Any, setting: str, mode: str, config: Config | None = None) -> Iterator[Finding]:
    """A finding for a setting of Celery that has formats which run code, of `config` where it is one of ours."""
    found = [text for each in _as_list(accepted) if (text := str(each)).lower() in _UNSAFE]
    if found:
        kind = OpenDoor if mode in MODES_THAT_READ else Finding
        yield kind(
            f"Celery accepts {', '.join(found)}: a message in this format can run code when it is read",
            where=setting if config is None else f"{setting}, {config.source(setting)}",
            hint=_HINTS[name],
        )


def _as_list(accepted: Any) -> Iterable[Any]:
    """What a setting has, which nobody may have looked at yet; of a mapping Celery takes the keys."""
    return accepted if isinstance(accepted, Iterable) and not isinstance(accepted, str) else (accepted,)


def dead_letters(deployment: Deployment) -> Iterator[Finding]:
    """Whether tasks were given up, and nobody has looked at them; a note where the broker does not answer."""
    if not deployment.manager.tasks.functions():
        return
    from opa.tasks.dead_letters.reader import dead_letters as read_dead_letters
    from opa.tasks.required import task_application

    try:
        with read_dead_letters(task_application(deployment.manager, "opa check --deploy")) as held:
            waiting = sum(1 for _ in held)
    except OpaError as error:
        problem = f"the dead letters were not looked at: {error.problem}"
        yield NotChecked(problem, where=error.where or "the broker", hint=error.hint or "Start the broker")
        return
    if waiting:
        yield Finding(
            f"{waiting} dead letter{'s' if waiting > 1 else ''}: tasks that were given up",
            where="the broker",
            hint="Look at them with `opa tasks dead`, and retry or drop them",
        )

"""What concerns Celery."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opa.checks.deploy.addresses import places, used_components
from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.servers import given_applications, uses_celery
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
_UNSAFE = frozenset(
    {"pickle", "application/x-python-serialize", "dill", "cloudpickle", "joblib", "jsonpickle", "marshal"}
)
"""Formats in which a message may run code when it is read, by name and by content type. Kombu reads YAML safely."""
_PICKLED = ("db+", "db:", "database", "sqlalchemy")
"""How the addresses of SQL databases begin: what Celery cannot read there it takes for pickle, whatever it accepts."""
_RESULTS = "result_backend"


def unsafe_formats(deployment: Deployment) -> Iterator[Finding]:
    """Whether who can write to the broker runs code in a worker, and who can write results does in the api."""
    if not uses_celery(deployment.manager):
        yield from unsafe_formats_in_settings(deployment)
    else:
        yield from unsafe_formats_in_applications(deployment.manager, deployment.mode)


def applications_of(manager: PluginManager) -> Iterator[Any]:
    """The Celery applications that a process uses, each once: that of the plugins, and what a hook has given for it."""
    from opa.tasks.application import application_of  # it imports Celery

    of_plugins = application_of(manager)
    yield of_plugins
    yield from {id(app): app for app in given_applications(manager) if app is not of_plugins}.values()


def unsafe_formats_in_applications(manager: PluginManager, mode: str) -> Iterator[Finding]:
    """The same of the settings that Celery has, which may be those of a plugin's code."""
    found: dict[str, Finding] = {}  # an application that a hook has given may have them of that of the plugins
    for app in applications_of(manager):
        for name in SETTINGS_OF_FORMATS:
            where = f"setting {name} of Celery"
            findings = (*_unsafe(name, app.conf[name], where, mode), *_open(name, app.conf[name], where, mode))
            found.update((str(finding), finding) for finding in findings)
        results = _pickled(app.conf.result_backend, f"setting {_RESULTS} of Celery", mode)
        found.update((str(finding), finding) for finding in results)
    yield from found.values()


def unsafe_formats_in_settings(deployment: Declared) -> Iterator[Finding]:
    """The same, as far as it can be told before plugins are loaded; those may set others in code."""
    config = deployment.config
    for place in places(deployment):
        if place.key.upper() in ("BACKEND_URL", "RESULT_BACKEND"):
            yield from _pickled(place.value, place.where, deployment.mode)
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


def _open(name: str, accepted: Any, setting: str, mode: str) -> Iterator[Finding]:
    """A finding where nothing says what is accepted, and code has turned on pickle in Kombu."""
    if accepted or name == "result_accept_content":  # which is then what `accept_content` says
        return
    from kombu import serialization
    from kombu.exceptions import ContentDisallowed

    try:
        serialization.loads(pickle.dumps(None), "application/x-python-serialize", "binary")
    except ContentDisallowed:
        return
    yield from _unsafe(name, "pickle", setting, mode)


def _pickled(backend: Any, where: str, mode: str) -> Iterator[Finding]:
    """A finding for a server from which results are read as pickle."""
    if isinstance(backend, str) and backend.lower().startswith(_PICKLED):
        kind = OpenDoor if mode in MODES_THAT_READ else Finding
        yield kind(
            "Celery reads results in an SQL database as pickle too: who writes there can run code where they are read",
            where=where,
            hint="Keep the results in redis",
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

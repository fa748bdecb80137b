"""What of a deployment keeps it from starting: doors that a mistake leaves open, unless `ENV` is dev.

The checks are those of `opa check --deploy`, and CHECK_SILENCED accepts what they find. A start runs those alone whose
finding is an `OpenDoor`, and imports them only where there is something to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from opa.errors import OpenDoorError, OpenDoorsError
from opa.logging.logger import log
from opa.settings.envs import DEVELOPMENT, current_envs

if TYPE_CHECKING:
    from opa.checks.finding import Finding
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

PASSWORDS = "deploy.component-password"
FORMATS = "deploy.pickle"
_FORMATS = ("ACCEPT_CONTENT", "RESULT_ACCEPT_CONTENT", "EVENT_SERIALIZER")  # `SETTINGS_OF_FORMATS`


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


def refuse_open_doors(config: Config, environ: Mapping[str, str], mode: str) -> None:
    """See that nothing lets strangers in, as far as settings and environment variables say.

    Raises:
        OpenDoorsError: something does, and nobody has accepted it; all of it.
    """
    if DEVELOPMENT in current_envs():
        return
    _refuse(list(_found(Start(config, environ, mode))), config)


def refuse_unsafe_formats(manager: PluginManager) -> None:
    """See that no plugin has Celery accept a format that runs code; where the application is configured.

    Raises:
        OpenDoorsError: one does, and nobody has accepted it.
    """
    if DEVELOPMENT in current_envs():
        return
    from opa.checks.deploy.tasks import unsafe_formats_in_application

    found = unsafe_formats_in_application(manager, manager.mode)
    _refuse([(FORMATS, finding) for finding in found], manager.config)


def warn_of_known_passwords(config: Config, environ: Mapping[str, str], mode: str) -> None:
    """Say in one line what is all right for a try on one machine, where no name of ENV says that it is more."""
    if current_envs() or not _has_written_components(config):
        return
    from opa.checks.deploy.components import KNOWN, component_passwords
    from opa.checks.deploy.door import reasons_in

    problems = (finding.problem for finding in component_passwords(Start(config, environ, mode)))
    known = dict.fromkeys(problem.removesuffix(KNOWN).strip() for problem in problems if problem.endswith(KNOWN))
    if known and PASSWORDS not in reasons_in(config):
        log.warning(
            f"passwords that everyone knows: {', '.join(known)}. Before others can reach this machine, set passwords of"
            " your own, as docs/deployment.md shows; with a name in ENV other than dev nothing starts with these"
        )


def _found(start: Start) -> Iterator[tuple[str, Finding]]:
    """What the checks find, each with the id; a check is imported where there is something for it to look at."""
    config = start.config
    if config.DEBUG or config.DEBUGPY:
        from opa.checks.deploy.development import debug, debugger

        yield from (("deploy.debug", finding) for finding in debug(start))
        yield from (("deploy.debugger", finding) for finding in debugger(start))
    if _has_written_components(config):
        from opa.checks.deploy.components import component_passwords

        yield from ((PASSWORDS, finding) for finding in component_passwords(start))
    if start.mode == "flower":
        from opa.checks.deploy.flower import flower_password

        yield from (("deploy.flower-password", finding) for finding in flower_password(start))
    if _says_formats(config):
        from opa.checks.deploy.tasks import unsafe_formats_in_settings

        yield from ((FORMATS, finding) for finding in unsafe_formats_in_settings(start))


def _has_written_components(config: Config) -> bool:
    from opa.core.component_options import is_default  # which each start imports

    components = config.OPTIONAL_COMPONENTS.items()
    return any(each["LOAD"] != "no" and not is_default(config, name) for name, each in components)


def _says_formats(config: Config) -> bool:
    options = (str(key).upper() for each in config.OPTIONAL_COMPONENTS.values() for key in each["OPTS"])
    return any(config.get(f"CELERY_{name}") for name in _FORMATS) or any(key in _FORMATS for key in options)


def _refuse(found: Sequence[tuple[str, Finding]], config: Config) -> None:
    if not found:
        return
    from opa.checks.deploy.door import OpenDoor, reasons_in

    accepted = reasons_in(config)
    doors = [_error(id_, each) for id_, each in found if isinstance(each, OpenDoor) and id_ not in accepted]
    if doors:
        raise OpenDoorsError(tuple(doors))


def _error(id_: str, door: Finding) -> OpenDoorError:
    accept = f"To start with it all the same, add {id_} to CHECK_SILENCED with a reason; ENV=dev needs none"
    return OpenDoorError(f"{id_}: {door.problem}", id_=id_, where=door.where, hint=f"{door.hint}. {accept}")

"""What of a deployment keeps it from starting: doors that a mistake leaves open, unless `ENV` is dev.

The checks are those of `opa check --deploy`, and CHECK_SILENCED accepts what they find. A start runs those alone whose
finding is an `OpenDoor`, and imports them only where there is something to look at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from opa.checks.deploy.servers import Start, names_servers, uses_celery
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


def refuse_open_doors(config: Config, environ: Mapping[str, str], mode: str) -> None:
    """See that nothing lets strangers in, as far as settings and environment variables say.

    Raises:
        OpenDoorsError: something does, and nobody has accepted it; all of it.
    """
    if DEVELOPMENT in current_envs():
        return
    _refuse(list(_found(Start(config, environ, mode))), config)


def refuse_open_applications(manager: PluginManager) -> None:
    """See that no plugin has Celery accept a format that runs code, or connect with a password that everyone knows.

    It is for where the applications are configured.

    Raises:
        OpenDoorsError: one does, and nobody has accepted it.
    """
    if DEVELOPMENT in current_envs() or not uses_celery(manager):
        return
    from opa.checks.deploy.components import passwords_of_applications
    from opa.checks.deploy.tasks import unsafe_formats_in_applications

    formats = ((FORMATS, finding) for finding in unsafe_formats_in_applications(manager, manager.mode))
    passwords = ((PASSWORDS, finding) for finding in passwords_of_applications(manager, os.environ))
    _refuse([*formats, *passwords], manager.config)


def warn_of_known_passwords(config: Config, environ: Mapping[str, str], mode: str) -> None:
    """Say in one line what is all right for a try on one machine, where no name of ENV says that it is more."""
    if current_envs() or not names_servers(config, environ):
        return
    from opa.checks.deploy.components import with_known_passwords
    from opa.checks.deploy.door import reasons_in

    known = with_known_passwords(Start(config, environ, mode))
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
    has_servers = names_servers(config, start.environ)
    if has_servers:
        from opa.checks.deploy.components import component_passwords

        yield from ((PASSWORDS, finding) for finding in component_passwords(start))
    if any(issuer["SECRET"] for issuer in config.JWT_ISSUERS):
        from opa.checks.deploy.secrets_of_others import weak_jwt_secrets

        yield from (("deploy.jwt-secret", finding) for finding in weak_jwt_secrets(start))
    if start.mode == "flower":
        from opa.checks.deploy.flower import flower_password

        yield from (("deploy.flower-password", finding) for finding in flower_password(start))
    if has_servers or _says_formats(config):
        from opa.checks.deploy.tasks import unsafe_formats_in_settings

        yield from ((FORMATS, finding) for finding in unsafe_formats_in_settings(start))


def _says_formats(config: Config) -> bool:
    return any(config.get(f"CELERY_{name}") for name in _FORMATS)


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

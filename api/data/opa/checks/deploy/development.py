"""What belongs to development: it shows code and values to clients, or lets them run code."""

from __future__ import annotations

from collections.abc import Iterator

from opa._util.hosts import is_loopback
from opa.checks.deploy.check import Deployment
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.finding import Finding
from opa.settings.envs import DEVELOPMENT, ENV_VARIABLE, current_envs
from opa.settings.sources import CUSTOMARY_ENVS, find_sources

MODES_WITH_DEBUGGER = ("api", "worker")
_WHERE = f"environment variable {ENV_VARIABLE}"


def debug(deployment: Declared) -> Iterator[Finding]:
    """Starlette's debug mode."""
    if deployment.config.DEBUG:
        kind = OpenDoor if deployment.mode == "api" else Finding
        yield kind(
            "DEBUG is on: a client that causes an error gets its traceback",
            where=deployment.config.source("DEBUG"),
            hint="Set it to false",
        )


def debugger(deployment: Declared) -> Iterator[Finding]:
    """The port for a debugger; on loopback it is one for the users of this machine."""
    config = deployment.config
    if config.DEBUGPY:
        is_open = deployment.mode in MODES_WITH_DEBUGGER and not is_loopback(config.DEBUGPY_HOST)
        kind = OpenDoor if is_open else Finding
        yield kind(
            f"DEBUGPY is on: who reaches {config.DEBUGPY_HOST} port {config.DEBUGPY_PORT} can run code",
            where=config.source("DEBUGPY"),
            hint="Set it to false",
        )


def reload(deployment: Deployment) -> Iterator[Finding]:
    """The restart after a change of a file."""
    if deployment.config.RELOAD:
        yield Finding(
            "RELOAD is on: there is one process, and a changed file restarts it in the middle of requests",
            where=deployment.config.source("RELOAD"),
            hint="Set it to false",
        )


def env_of_development(deployment: Deployment) -> Iterator[Finding]:
    """The section of the settings that is for development."""
    if DEVELOPMENT in current_envs():
        yield Finding(
            f"{ENV_VARIABLE} is {DEVELOPMENT}, which turns on the debugger, reload and the demo plugins",
            where=_WHERE,
            hint="Unset it, or name a section of your own, such as prod",
        )


def env_without_section(deployment: Deployment) -> Iterator[Finding]:
    """A name that selects nothing, and is none that people use for every kind of deployment."""
    sections = find_sources(None, "").sections
    for env in current_envs():
        if env not in sections | CUSTOMARY_ENVS | {DEVELOPMENT}:
            yield Finding(
                f'{ENV_VARIABLE} is "{env}", and no settings file has a section of this name',
                where=_WHERE,
                hint="Write the name of a section, or unset it",
            )

"""What belongs to development: it shows code and values to clients, or lets them run code."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.settings.envs import ENV_VARIABLE, current_envs
from opa.settings.sources import CUSTOMARY_ENVS, find_sources

DEVELOPMENT = "dev"
_WHERE = f"environment variable {ENV_VARIABLE}"


def debug(deployment: Deployment) -> Iterator[Finding]:
    """Starlette's debug mode."""
    if deployment.config.DEBUG:
        yield Finding(
            "DEBUG is on: a client that causes an error gets its traceback",
            where=deployment.config.source("DEBUG"),
            hint="Set it to false",
        )


def debugger(deployment: Deployment) -> Iterator[Finding]:
    """The port for a debugger."""
    config = deployment.config
    if config.DEBUGPY:
        yield Finding(
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

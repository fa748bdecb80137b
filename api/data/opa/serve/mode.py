"""What a process runs, from the environment variable `MODE`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from opa._util.garbage import frozen
from opa.errors import StartError

if TYPE_CHECKING:
    from opa.settings.load import Config

DEFAULT_MODE = "api"
MODES_WITH_METRICS = ("api", "worker", "beat")


class Mode(Protocol):
    """A module that runs a mode, until SIGTERM or SIGINT."""

    def serve(self, config: Config) -> None:
        """Run it as the settings say."""

    def serve_alone(self, config: Config) -> None:
        """Run it in this process, which is what it is in development."""


def _api() -> Mode:
    from opa.serve import api

    return api


def _worker() -> Mode:
    from opa.serve import worker

    return worker


def _beat() -> Mode:
    from opa.serve import beat

    return beat


def _flower() -> Mode:
    from opa.serve import flower

    return flower


MODES: dict[str, Callable[[], Mode]] = {"api": _api, "worker": _worker, "beat": _beat, "flower": _flower}


def chosen_mode(environ: Mapping[str, str]) -> str:
    """The mode that `MODE` in `environ` names, in any case; `api` where it is not set.

    Raises:
        StartError: there is no such mode.
    """
    named = environ.get("MODE", "").strip()
    mode = named.lower() or DEFAULT_MODE
    if mode not in MODES:
        raise StartError(
            f"there is no mode '{named}'",
            where="environment variable MODE",
            hint=f"Set it to one of: {', '.join(MODES)}",
        )
    return mode


def start(load: Callable[[], Config] | None = None) -> None:
    """Run what `MODE` says until it is told to stop.

    Args:
        load: gives the settings; by default they are read from their usual places.

    Raises:
        OpaError: it cannot be started; a mistake in settings or plugins, or a component that does not
        connect. SystemExit: a server ended in another way than by returning.
    """
    with frozen():  # what is imported stays
        serve, config = _chosen(load)
    serve(config)


def _chosen(load: Callable[[], Config] | None) -> tuple[Callable[[Config], None], Config]:
    """What is to run, and the settings."""
    mode = chosen_mode(os.environ)
    from opa.checks.deploy.start import refuse_open_doors, warn_of_known_passwords
    from opa.logging.kept import keep_std_logging
    from opa.logging.logger import log, setup_logging
    from opa.logging.stderr import write_to_this_stderr
    from opa.logging.uncaught import report_what_nothing_caught
    from opa.process.metrics_folder import begin_metrics
    from opa.settings import load as settings

    report_what_nothing_caught(log)
    write_to_this_stderr()
    keep_std_logging()  # what the settings warn of is written as all else is
    config = (load or settings.load_settings)()
    setup_logging(config)
    refuse_open_doors(config, os.environ, mode)
    warn_of_known_passwords(config, os.environ, mode)
    if config.INSTALL_PACKAGES and not config.RELOAD:  # else what restarts it has it installed
        from opa.packages.provide import provide

        provide(config)
    if mode in MODES_WITH_METRICS:
        begin_metrics(config)
    return MODES[mode]().serve, config

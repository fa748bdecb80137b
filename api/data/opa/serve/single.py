"""What a mode is in development: one process, `python -m opa.serve`.

Its own interpreter, so that a reload begins with nothing imported, and so that the debugger gets the flag it
needs.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from opa.errors import (
    ComponentConnectError,
    ComponentUnavailableError,
    LifecycleError,
    OpaError,
    SetupError,
    StartError,
)

if TYPE_CHECKING:
    from opa.settings.load import Config


MISTAKE = os.EX_CONFIG
"""Exit status under a supervisor of a process that ends in the same way each time, until a file changes."""
# Raised from the step `connect` on: what is asked there may answer in a moment, such as a server that starts.
PASSING = (StartError, ComponentConnectError, ComponentUnavailableError, LifecycleError, SetupError)


def command(supervisor: int | None = None) -> list[str]:
    """The command that runs this module.

    Args:
        supervisor: process id of a parent to end with.
    """
    # -P: plugins of the current folder must not stand in for the modules that opa-stack itself imports.
    command = [sys.executable, "-Xfrozen_modules=off", "-P", "-m", "opa.serve"]
    return command if supervisor is None else [*command, str(supervisor)]


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        OpaError: it cannot be started.
    """
    if config.DEBUGPY:
        from opa.serve.debugger import listen

        listen(config)
    from opa.process.listen import address_of, listening_socket
    from opa.serve.application import load_app

    app = load_app()
    import asyncio

    from opa.logging.logger import log
    from opa.serve.server import Server, ServerConfig

    listener = listening_socket(config.HOST, config.PORT)
    log.info(f"serving on {address_of(listener)} with one process")
    server_config = ServerConfig(config, app)
    with asyncio.Runner(loop_factory=server_config.get_loop_factory()) as runner:
        runner.run(Server(server_config, alone=True).serve(sockets=[listener]))


def run_worker(config: Config) -> None:
    """Run tasks until SIGTERM or SIGINT.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    if config.DEBUGPY:
        from opa.serve.debugger import listen

        listen(config)
    from celery.exceptions import SecurityWarning

    from opa.serve import worker

    if os.geteuid() == 0:
        # At each start anew it is no news; in production it is said once.
        warnings.simplefilter("ignore", SecurityWarning)
    worker.run(config)


def run_beat(config: Config) -> None:
    """Run the schedule until SIGTERM or SIGINT.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    from opa.serve import beat

    beat.run(config)


MODES: dict[str, Callable[[Config], None]] = {"api": serve, "worker": run_worker, "beat": run_beat}


def main() -> None:
    """Load the settings and run the mode; a mistake that somebody can fix is one line, and status 1 or `MISTAKE`."""
    from opa.process.error_report import print_start_error

    if sys.argv[1:]:
        from opa.process.orphans import end_with_parent

        end_with_parent(int(sys.argv[1]))
    try:
        from opa.logging.logger import setup_logging
        from opa.serve.mode import chosen_mode
        from opa.settings import load as settings

        config = settings.load_settings()
        settings.config.adopt(config)
        setup_logging(config)
        MODES[chosen_mode(os.environ)](config)
    except OpaError as error:
        print_start_error(error)
        sys.exit(MISTAKE if sys.argv[1:] and not isinstance(error, PASSING) else 1)

"""The mode `api`: choose the server that the settings ask for, and run it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from opa.core.errors import StartError
from opa.core.log import log
from opa.serve.health_target import note_health_target
from opa.serve.workers import chosen_workers, worker_count

if TYPE_CHECKING:
    from opa.core.settings import Config


def serve_api(config: Config) -> None:
    """Serve until SIGTERM or SIGINT.

    `RELOAD` is one process under a supervisor, `DEBUGPY` alone is one process, and everything else gunicorn.

    Raises:
        OpaError: it cannot be started.
        SystemExit: the server ended with another status than 0.
    """
    chosen = chosen_workers(os.environ, config.WORKERS)
    note_health_target(config)
    if config.RELOAD:
        from opa.serve.reload import supervise

        if chosen is not None and chosen > 1:
            log.warning(f"one process serves while RELOAD is true; the {chosen} workers asked for are not started")
        supervise(config)
    elif config.DEBUGPY:
        if chosen is not None and chosen > 1:
            raise StartError(
                f"a debugger attaches to one process, and {chosen} workers are asked for",
                where="setting DEBUGPY",
                hint="Set WEB_CONCURRENCY to 1, or DEBUGPY to false",
            )
        from opa.serve.single import command

        sys.stdout.flush()
        sys.stderr.flush()
        # A new interpreter, since debugpy needs a flag of it; the same process, so that signals still arrive.
        os.execv(sys.executable, command())  # noqa: S606
    else:
        from opa.serve.gunicorn import serve

        serve(config, workers=worker_count(os.environ, config.WORKERS))

"""The mode `worker`: a Celery worker with the plugins, settings and components of the api."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from typing import TYPE_CHECKING

from opa.core.errors import StartError
from opa.core.log import log

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.core.settings import Config
    from opa.tasks.application import TaskApplication


def serve_worker(config: Config) -> None:
    """Run tasks until SIGTERM or SIGINT.

    The variable `CELERY_PARAMS` is put behind the command line (`-Q math -c 4`), and `CELERY_COMMAND` takes the
    place of `worker` in it.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    from opa.core.prepare import prepare
    from opa.core.state import state

    state["runner"] = "celery"
    manager = prepare(config)
    run_celery(task_application(manager, "MODE=worker"), _command_line(os.environ.get("CELERY_COMMAND") or "worker"))


def task_application(manager: PluginManager, needed_by: str) -> TaskApplication:
    """The Celery application of the plugins, when some component says where its broker is.

    Args:
        needed_by: what needs it, for the error.

    Raises:
        StartError: no component does; the message says why.
    """
    from opa.core.components import missing_host

    reasons = []
    for state in manager.component_states.values():
        if state.driver_name.lower() != "celery":
            continue
        if state.driver is None:
            reasons.append(f"component '{state.name}' is not loaded: LOAD is no")
        elif state.load == "auto" and (
            reason := asyncio.run(missing_host(state.driver, manager.config.COMPONENT_DNS_TIMEOUT))
        ):
            reasons.append(f"component '{state.name}' is not loaded: {reason}, LOAD is auto")
        else:
            return manager.celery
    raise StartError(
        f"{needed_by} needs a component with the driver 'celery', and there is none"
        + "".join(f"; {reason}" for reason in reasons),
        where="setting OPTIONAL_COMPONENTS.CELERY",
        hint="Start the broker, or mend BROKER_URL and BACKEND_URL; LOAD 'yes' waits for them",
    )


def _command_line(command: str) -> list[str]:
    try:
        return [*shlex.split(command), *shlex.split(os.environ.get("CELERY_PARAMS", ""))]
    except ValueError as error:
        raise StartError(
            f"CELERY_PARAMS cannot be split into words: {error}",
            where="environment variable CELERY_PARAMS",
            hint="Write it as on a command line: -Q math -c 4",
        ) from error


def run_celery(celery: TaskApplication, words: list[str]) -> None:
    """Run a command of Celery.

    Raises:
        SystemExit: Celery ended, with its status.
    """
    log.info(f"celery {shlex.join(words)}")
    sys.exit(celery.start(argv=words))

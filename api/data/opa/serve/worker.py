"""The mode `worker`: a Celery worker with the plugins, settings and components of the api."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import warnings
from typing import TYPE_CHECKING

from opa.errors import StartError
from opa.logging.logger import log
from opa.process.shared_memory import shared_memory
from opa.serve.development import runs_in_development

if TYPE_CHECKING:
    from opa.settings.load import Config
    from opa.tasks.application import TaskApplication

DETACHED = frozenset({"-D", "--detach"})
POOLS_OF_OTHERS = ("eventlet", "gevent")
SHUTDOWN_MARGIN = 20.0
"""Seconds for what follows when GRACEFUL_TIMEOUT is over: tasks are given back, components disconnect."""


def serve(config: Config) -> None:
    """Run tasks until SIGTERM or SIGINT.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    # Also for a reload: a task that runs has the time that it was promised.
    limit = config.GRACEFUL_TIMEOUT + SHUTDOWN_MARGIN
    if not runs_in_development(config, reload_limit=limit, stop_limit=limit):
        run(config)


def serve_alone(config: Config) -> None:
    """Run tasks until SIGTERM or SIGINT.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    if config.DEBUGPY:
        from opa.serve.debugger import listen

        listen(config)
    from celery.exceptions import SecurityWarning

    if os.geteuid() == 0:
        # After a restart it is no news; in production it is said once.
        warnings.simplefilter("ignore", SecurityWarning)
    run(config)


def run(config: Config) -> None:
    """Run tasks in this process and its children.

    The variable `CELERY_PARAMS` is put behind the command line (`-Q math -c 4`), and `CELERY_COMMAND` takes the
    place of `worker` in it.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    from opa.bootstrap import prepare
    from opa.checks import warn_of_findings
    from opa.checks.deploy.start import refuse_open_applications
    from opa.core.around_process import around_process
    from opa.core.overview import overview
    from opa.serve.metrics import serve_metrics
    from opa.tasks.required import task_application

    command, parameters = _words("CELERY_COMMAND", "worker"), _words("CELERY_PARAMS", "")
    if DETACHED.intersection(parameters):
        raise StartError(
            "a worker does not go into the background (-D, --detach): nobody would know whether it runs",
            where="environment variable CELERY_PARAMS",
            hint="Remove it; what starts the worker, such as Docker or systemd, keeps it running",
        )
    _find_temporary_folder()
    manager = prepare(config, mode="worker")
    log.info(overview(manager))
    warn_of_findings(manager)
    # A debugger attaches to one process: there the tasks run in threads of it, unless CELERY_PARAMS name another pool.
    pool = ["--pool=threads"] if config.DEBUGPY and command == ["worker"] else []
    application = task_application(manager, "MODE=worker")
    refuse_open_applications(manager)
    serve_metrics(manager)
    with around_process(manager):
        run_celery(application, [*command, *pool, *parameters])


def _find_temporary_folder() -> None:
    """Have one also where the root file system is read-only: a worker's processes share memory by files there."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = shared_memory()


def _words(variable: str, default: str) -> list[str]:
    """The words of an environment variable, written as on a command line.

    Raises:
        StartError: it cannot be split into words.
    """
    try:
        return shlex.split(os.environ.get(variable) or default)
    except ValueError as error:
        raise StartError(
            f"{variable} cannot be split into words: {error}",
            where=f"environment variable {variable}",
            hint="Write it as on a command line: -Q math -c 4",
        ) from None


def _named(missing: str, words: list[str]) -> str | None:
    """The module of a command line, such as behind -I, of which a part is missing."""
    names = (name for word in words for name in word.removeprefix("-I").rpartition("=")[2].split(","))
    return next((name for name in names if missing and f"{name}.".startswith(f"{missing}.")), None)


def run_celery(celery: TaskApplication, words: list[str]) -> None:
    """Run a command of Celery.

    Raises:
        StartError: Celery does not take the command, or what that names cannot be imported.
        SystemExit: Celery ended, with its status.
    """
    from click import ClickException

    from opa.tasks.command_line import run_command

    log.info(f"celery {shlex.join(words)}")
    try:
        sys.exit(run_command(celery, words))
    except ClickException as error:
        raise StartError(
            f"Celery does not take its command line: {error.format_message()}",
            where="environment variable CELERY_PARAMS",
            hint="'celery worker --help' shows what it takes",
        ) from None
    except ModuleNotFoundError as error:
        if error.name in POOLS_OF_OTHERS:
            raise StartError(
                f"the package '{error.name}', which the pool of this name needs, is not installed",
                where="environment variable CELERY_PARAMS",
                hint=f"pip install {error.name}, or take another pool: -P threads",
            ) from None
        if (module := _named(error.name or "", words)) is None:
            raise
        raise StartError(
            f"Celery is to import '{module}': {error}",
            where="environment variable CELERY_PARAMS",
            hint="Fix its name, or remove it: tasks of plugins are there without it",
        ) from None

"""The mode `beat`: sends the tasks of the schedule when they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.settings.load import Config

STOP_LIMIT = 10.0
"""Seconds: it finishes what it is sending, and gives its lock back."""


def serve(config: Config) -> None:
    """Run the schedule until SIGTERM or SIGINT; where another beat runs it already, wait to take its place.

    Raises:
        OpaError: it cannot be started.
        SystemExit: Celery ended, with its status.
    """
    if config.RELOAD:
        from opa.serve.reload import supervise

        supervise(config, reload_limit=STOP_LIMIT, stop_limit=STOP_LIMIT)
    else:
        serve_alone(config)


def serve_alone(config: Config) -> None:
    """Run the schedule in this process; see `serve`."""
    from opa.bootstrap import prepare
    from opa.checks.deploy.start import refuse_open_applications
    from opa.core.around_process import around_process
    from opa.core.overview import overview
    from opa.serve.metrics import serve_metrics
    from opa.serve.worker import run_celery
    from opa.tasks.required import task_application

    manager = prepare(config, mode="beat")
    log.info(overview(manager))
    application = task_application(manager, "MODE=beat")
    refuse_open_applications(manager)
    serve_metrics(manager)
    with around_process(manager):
        run_celery(application, ["beat"])

"""The mode `beat`: sends the tasks of the schedule when they are due."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.load import Config

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_LIMIT = 10.0
"""Seconds: it finishes what it is sending, and gives its lock back."""
CLEANUP_LIMIT = 2.0
"""Seconds for what beat waits for to clean up, once it is cancelled."""


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
    _wait(manager)
    with around_process(manager):
        run_celery(application, ["beat"])


def _wait(manager: PluginManager) -> None:
    """Wait for what plugins put before beat.

    Raises:
        OpaError: one of them failed.
        SystemExit: a signal came meanwhile.
    """
    from opa.loading.conventions import BEFORE_BEAT_GROUP

    if not manager.groups.members(BEFORE_BEAT_GROUP.name):
        return
    from opa._util.flag import Flag
    from opa.core.before_beat import WaitingBeside
    from opa.core.start_waits import start_waits_told
    from opa.core.stopped_start import has_started
    from opa.process.health_target import note_start

    stop = Flag()
    before = [(number, signal.signal(number, lambda *_: stop.set())) for number in STOP_SIGNALS]
    try:
        with start_waits_told(partial(note_start, "beat")):
            waiting = WaitingBeside(manager)
            waiting.begin()
            is_over = has_started(
                waiting.done, is_told_to_stop=stop.is_set, cancel=waiting.cancel, cleanup_limit=CLEANUP_LIMIT
            )
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    if not is_over:
        raise SystemExit(0)  # it has sent nothing, and holds nothing

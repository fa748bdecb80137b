"""What a server loads: `opa.main:app` for an ASGI server, `opa.main:celery` for `celery -A opa.main`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opa.current import current
from opa.errors import OpaError
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.http.application import Api
    from opa.settings.load import Config
    from opa.tasks.application import TaskApplication

    app: Api
    celery: TaskApplication


def start_api(config: Config | None = None) -> Api:
    """Load plugins, and build an application that a server, or a test client, can start.

    Args:
        config: the settings; by default they are loaded from their usual places.

    Raises:
        OpaError: a mistake in settings or plugins.
    """
    from opa._util.garbage import frozen

    with frozen():
        from opa.bootstrap import prepare
        from opa.checks import warn_of_findings
        from opa.checks.deploy.start import refuse_open_applications, refuse_open_doors
        from opa.core.overview import overview
        from opa.http.builder import build_app
        from opa.logging.logger import log
        from opa.settings.load import load_settings

        config = config or load_settings()
        refuse_open_doors(config, os.environ, "api")
        manager = prepare(config, mode="api")
        refuse_open_applications(manager)
        app = build_app(manager)
        log.info(overview(app.manager, app.count_plugin_routes()))
        warn_of_findings(app.manager, app)
        return app


def load_app(config: Config | None = None) -> Api:
    """`app`, which is made by `start_api` when it is first asked for."""
    if current.app is None:
        current.app = start_api(config)
    app: Api = current.app
    return app


def start_celery() -> TaskApplication:
    """Load settings and plugins, and give the Celery application that their tasks belong to.

    Raises:
        OpaError: a mistake in settings or plugins, or no component says where the broker is.
    """
    from opa.bootstrap import prepare
    from opa.checks.deploy.start import refuse_open_applications, refuse_open_doors
    from opa.settings.load import load_settings
    from opa.tasks.required import task_application

    config = load_settings()
    refuse_open_doors(config, os.environ, "worker")
    manager = prepare(config, mode="worker")
    application = task_application(manager, "celery -A opa.main")
    refuse_open_applications(manager)
    return application


def load_celery() -> TaskApplication:
    """`celery`, which is made by `start_celery` when it is first asked for."""
    if current.celery is None:
        current.celery = start_celery()
    celery: TaskApplication = current.celery
    return celery


def __getattr__(name: str) -> Any:
    # Celery's command looks for `app` before `celery`, and would take the one of the api.
    if name not in ("app", "celery") or (name == "app" and _is_celery_command()):
        raise AttributeError(f"module 'opa.main' has no attribute {name!r}")
    try:
        return load_app() if name == "app" else load_celery()
    except OpaError as error:
        # A server prints a stack trace for what its import raises; the line that matters stands before it.
        for each in error.each:
            log.error(str(each))
        raise


def _is_celery_command() -> bool:
    program = Path(sys.argv[0])
    return "celery" in (program.stem, program.parent.name)

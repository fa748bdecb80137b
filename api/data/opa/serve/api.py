"""The mode `api`: choose the server that the settings ask for, and run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from opa._compat.pymongo_threads import leave_idle_threads
from opa._util.garbage import end_without_collection, frozen
from opa.errors import StartError
from opa.logging.logger import log
from opa.process.health_target import note_health_target
from opa.process.workers import chosen_workers, worker_count
from opa.serve.development import runs_in_development

if TYPE_CHECKING:
    from opa.serve.handed import Handed
    from opa.settings.load import Config

RELOAD_LIMIT = 3.0
"""Seconds: a request that hangs, or one that stands at a breakpoint, must not hold up the change that was just made."""

RELOAD_DRAIN = 0.02
"""Seconds: the same for a browser that keeps a connection open, on which no request is under way."""


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT.

    `RELOAD` is one process under a supervisor, `DEBUGPY` alone is one process, and everything else gunicorn.

    Raises:
        OpaError: it cannot be started.
        SystemExit: the server ended with another status than 0.
    """
    chosen = chosen_workers(os.environ, config.WORKERS)
    note_health_target(config)
    if chosen is not None and chosen > 1:
        _warn_or_refuse(config, chosen)
    with frozen():
        from opa.serve.server import stop_limit

    limits = {"reload_limit": RELOAD_LIMIT, "stop_limit": stop_limit(config)}
    if not runs_in_development(config, **limits, has_page=True):
        with frozen():
            from opa.serve import gunicorn

        gunicorn.serve(config, workers=worker_count(os.environ, config.WORKERS))


def _warn_or_refuse(config: Config, chosen: int) -> None:
    if config.RELOAD:
        log.warning(f"one process serves while RELOAD is true; the {chosen} workers asked for are not started")
    elif config.DEBUGPY:
        raise StartError(
            f"a debugger attaches to one process, and {chosen} workers are asked for",
            where="setting DEBUGPY",
            hint="Set WEB_CONCURRENCY to 1, or DEBUGPY to false",
        )


def serve_alone(config: Config, when_serving: Callable[[], None] = lambda: None, handed: Handed | None = None) -> None:
    """Serve with this one process until SIGTERM or SIGINT.

    Args:
        config: the settings.
        when_serving: called when it serves.
        handed: the socket of a supervisor, on which the next process serves after this one.

    Raises:
        OpaError: it cannot be started.
    """
    if config.DEBUGPY:
        from opa.serve.debugger import listen

        listen(config)
    from opa.process.listen import address_of, listening_socket
    from opa.serve.application import load_app

    app = load_app(config)
    import asyncio

    from opa.serve.server import Server, ServerConfig

    kept = None if handed is None else handed.socket_for(config)
    listener = listening_socket(config.HOST, config.PORT) if kept is None else kept
    operating = None
    if config.OPERATING_PORT is not None:
        from opa.serve.operating import OperatingServer, operating_socket

        operating = OperatingServer(config, app.operating_routes, operating_socket(config))
    log.info(f"serving on {address_of(listener)} with one process")
    if kept is None:
        server_config = ServerConfig(config, app)
    else:
        from opa.serve.waited import WaitedProtocol

        server_config = ServerConfig(config, app, WaitedProtocol)
    with asyncio.Runner(loop_factory=server_config.get_loop_factory()) as runner:
        server = Server(
            server_config,
            alone=True,
            has_successor=kept is not None,
            operating=operating,
            when_serving=when_serving,
        )
        if config.RELOAD:
            server.min_drain = server.max_drain = RELOAD_DRAIN
        runner.run(server.serve(sockets=[listener]))
    if config.RELOAD:
        # The next process waits for the end of this one.
        leave_idle_threads()
        end_without_collection()

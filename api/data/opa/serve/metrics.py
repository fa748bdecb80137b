"""The metrics of a worker and of beat, which serve no requests: on a port, from a thread beside all that they do."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from email.utils import formatdate
from typing import TYPE_CHECKING

from opa.errors import StartError
from opa.logging.logger import log
from opa.process.listen import address_of, listening_socket
from opa.settings.inherited import process_of_up

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Message

    from opa.core.manager import PluginManager
    from opa.serve.operating import OperatingServer
    from opa.settings.load import Config


def metrics_port(config: Config) -> int | None:
    """The port of the metrics of this process; None where there is none. Under `opa up`, beat has the next one."""
    if not config.METRICS or not config.METRICS_URL or config.METRICS_PORT is None:
        return None
    port: int = config.METRICS_PORT
    return port + (process_of_up() == "beat")


def metrics_socket(config: Config, port: int) -> socket.socket:
    """The socket that listens on OPERATING_HOST and `port`.

    Under `opa up`, where the metrics of another project may have that port, a free one takes its place.

    Raises:
        StartError: the address is taken, not allowed, or not one of this machine.
    """
    try:
        return listening_socket(config.OPERATING_HOST, port, prefix="METRICS_")
    except StartError as error:
        if not process_of_up():
            raise
        listener = listening_socket(config.OPERATING_HOST, 0, prefix="METRICS_")
        log.warning(f"the metrics are on a free port: {error}")
        return listener


def serve_metrics(manager: PluginManager) -> None:
    """Answer requests for the metrics from now on, if the settings say so.

    Raises:
        StartError: the address is taken, not allowed, or not one of this machine.
    """
    config = manager.config
    port = metrics_port(config)
    if port is None:
        return
    routes = [
        route
        for found in manager.registry.objects
        if found.plugin.file.is_built_in and found.router is not None
        for route in found.router.routes
        if getattr(route, "path", None) == config.METRICS_URL
    ]
    from opa.serve.operating import OperatingServer

    listener = metrics_socket(config, port)
    log.info(f"metrics on {address_of(listener)}{config.METRICS_URL}")
    server = OperatingServer(config, routes, listener)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=server.abandon)  # noqa: TID251 - once in a process
    threading.Thread(target=_serve, args=(config, routes, server), name="metrics", daemon=True).start()


def _serve(config: Config, routes: list[BaseRoute], server: OperatingServer) -> None:
    try:
        asyncio.run(_answer(config, routes, server))
    except Exception as error:  # noqa: BLE001 - the tasks go on without it
        log.opt(exception=error).error(f"the metrics are no longer shown: {error}")


async def _answer(config: Config, routes: list[BaseRoute], server: OperatingServer) -> None:
    await server.start()
    await _ask(routes, config.METRICS_URL)
    while True:
        await server.look_after([(b"date", formatdate(usegmt=True).encode())])
        await asyncio.sleep(1)


async def _ask(routes: list[BaseRoute], path: str) -> None:
    """Ask once, by which this process begins to keep its numbers where others find them."""
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        """Nobody reads it."""

    for route in routes:
        await route.handle(scope, receive, send)

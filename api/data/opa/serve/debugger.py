"""Let a debugger attach to this process."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TYPE_CHECKING

from opa.logging.logger import log
from opa.serve.debug_gate import gated
from opa.settings.inherited import process_of_up

if TYPE_CHECKING:
    from opa.settings.load import Config

# A process that was just stopped may hold the port for a moment.
PORT_LIMIT = 5.0
POLL_INTERVAL = 0.1


def listen(config: Config) -> None:
    """Listen on `DEBUGPY_HOST` and `DEBUGPY_PORT`, for debuggers alone; with `DEBUGPY_WAIT`, wait until one attaches.

    The worker of an `opa up` takes the port behind that one, which the api has. A port that someone else holds is
    logged, and the process goes on without a debugger.
    """
    host, port = config.DEBUGPY_HOST, config.DEBUGPY_PORT
    if port and process_of_up() == "worker":
        port += 1
    taken = _wait_until_free(host, port)
    if taken:
        log.error(
            f"no debugger can attach: {host}:{port} {taken} (settings DEBUGPY_HOST and DEBUGPY_PORT). "
            "Stop what listens there, or set another port"
        )
        return
    import debugpy

    port = port or _free_port(host)
    debugpy.configure(pythonEnv=gated(os.environ, port))
    try:
        debugpy.listen((host, port))
    except RuntimeError as error:
        log.error(f"no debugger can attach on {host}:{port}: {error}")
        return
    log.info(f"a debugger can attach on {host}:{port}")
    if config.DEBUGPY_WAIT:
        log.info("waiting for a debugger (setting DEBUGPY_WAIT)")
        debugpy.wait_for_client()


def _wait_until_free(host: str, port: int) -> str:
    """Why the address cannot be had within the time limit, or nothing."""
    deadline = time.monotonic() + PORT_LIMIT
    while True:
        reason, passing = _try(host, port)
        if not reason or not passing or time.monotonic() > deadline:
            return reason
        time.sleep(POLL_INTERVAL)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=_family(host)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _try(host: str, port: int) -> tuple[str, bool]:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            return "is taken by another process" if in_use else f"cannot be used ({error})", in_use
    return "", False

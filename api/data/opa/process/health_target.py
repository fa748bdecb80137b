"""Tell the container's health check what to ask, or, where nothing can be asked, how the process is.

`opa/healthcheck.py` reads it from the file that the variable `HEALTH_FILE` names; the image sets that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.healthcheck import health_file
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.settings.load import Config

EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


HEARTBEAT = 5.0
"""Seconds between two signs of life of a process that cannot be asked."""
ALIVE_FOR = 4 * HEARTBEAT


def note_health_target(config: Config, *, waits: str = "") -> None:
    """Say where the health route of the api is.

    Args:
        config: the settings.
        waits: what the api waits for while it starts, which must be said again within `ALIVE_FOR` seconds.
    """
    host, port = operating_address(config)
    starting = {"reason": _as_printed(f"it waits: {waits}"), "starts_until": time.time() + ALIVE_FOR} if waits else {}
    note_web_target("api", host, port, config.HEALTH_URL, **starting)


def operating_address(config: Config) -> tuple[str, int]:
    """Where this machine asks for the operating routes of the api: on a port of their own, or on that of the api."""
    host, port = config.HOST, config.PORT
    if config.OPERATING_PORT is not None:
        host, port = config.OPERATING_HOST, config.OPERATING_PORT
    return EVERY_ADDRESS.get(host, host), port


def note_web_target(mode: str, host: str, port: int, path: str | None, **more: Any) -> None:
    """Say where the process can be asked; without a path a connection is enough."""
    _note({"mode": mode, "host": EVERY_ADDRESS.get(host, host), "port": port, "path": path, **more})


def note_alive(mode: str, *, skipped: Sequence[Mapping[str, str]] = ()) -> None:
    """Say that the process is at work; it must say so again within `ALIVE_FOR` seconds.

    Args:
        mode: `worker` or `beat`.
        skipped: the broken plugins, as the readiness answer of the api shows them.
    """
    plugins = [{key: _as_printed(text) for key, text in plugin.items()} for plugin in skipped]
    _note({"mode": mode, "until": time.time() + ALIVE_FOR, "plugins": plugins})


def note_not_ready(mode: str, reason: str) -> None:
    """Say that the process is not at work, and why."""
    _note({"mode": mode, "until": 0, "reason": _as_printed(reason)})


def note_start(mode: str, waits: str) -> None:
    """Say that the process starts, and what it waits for; empty where it does not say."""
    note_not_ready(mode, f"it waits: {waits}" if waits else "it is starting")


def _as_printed(text: str) -> str:
    """The health check runs without the package: what it prints is made fit for that here."""
    return in_one_line(mask_text(text))


def _note(target: dict[str, Any]) -> None:
    if not os.environ.get("HEALTH_FILE"):
        return
    file = health_file()
    try:
        # Replaced in one step: the health check may read it at any moment.
        part = Path(f"{file}.part")
        part.write_text(json.dumps(target))
        part.replace(file)
    except OSError as error:
        log.warning(
            f"{file} cannot be written ({error.strerror}): "
            "the health check knows no more than OPA_PORT and OPA_HEALTH_URL"
        )

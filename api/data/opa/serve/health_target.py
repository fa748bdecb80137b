"""Tell the container's health check what to ask, since only the settings say it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from opa.core.log import log

if TYPE_CHECKING:
    from opa.core.settings import Config

EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def note_health_target(config: Config) -> None:
    """Write where the health route is into the file that the variable `HEALTH_FILE` names, if it does.

    The image sets the variable. `opa/healthcheck.py` reads the file.
    """
    file = os.environ.get("HEALTH_FILE")
    if not file:
        return
    target = {
        "mode": "api",
        "host": EVERY_ADDRESS.get(config.HOST, config.HOST),
        "port": config.PORT,
        "path": config.HEALTH_URL,
    }
    try:
        Path(file).write_text(json.dumps(target))
    except OSError as error:
        log.warning(
            f"{file} cannot be written ({error.strerror}): "
            "the health check knows no more than OPA_PORT and OPA_HEALTH_URL"
        )

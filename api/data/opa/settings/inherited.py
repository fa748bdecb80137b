"""Settings that a process hands down to those that it starts, such as `opa up` the addresses of its servers.

They come before the files and variables of the user, which therefore win, and keep the name of who gave them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

HANDED_VARIABLE = "OPA_UP_SETTINGS"
PROCESS_VARIABLE = "OPA_UP_PROCESS"
"""Which process of `opa up` this is: `api`, `worker` or `beat`."""
STATE_VARIABLE = "OPA_UP_STATE"
"""What tells the state of the watched files from others, so that the processes know that they see the same."""


def handing_variable(source: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """The environment variable that hands settings down.

    Args:
        source: the name of their source.
        settings: by name, which may be dotted.
    """
    return {HANDED_VARIABLE: json.dumps({"source": source, "settings": dict(settings)})}


def process_of_up() -> str:
    """Which process of an `opa up` this is; empty where it is none."""
    return os.environ.get(PROCESS_VARIABLE, "")


def handed_settings() -> tuple[str, Mapping[str, Any]]:
    """Who has handed settings down to this process, and which.

    Raises:
        ValueError: the variable was written by someone else.
    """
    text = os.environ.get(HANDED_VARIABLE)
    if not text:
        return "", {}
    try:
        handed = json.loads(text)
        return str(handed["source"]), dict(handed["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{HANDED_VARIABLE}: is for opa-stack's own processes, do not set it") from error

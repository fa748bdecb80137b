"""A measurement in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from bench.servers import FOLDER, NOT_PASSED_ON

TIME_LIMIT = 300.0


def found_by(program: str, environment: Mapping[str, str]) -> Any:
    """What a program prints as JSON.

    Args:
        program: Python.
        environment: of an application; nothing of this process's own that concerns one is passed on.

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    outer = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-c", program],
        cwd=FOLDER.parent,
        env={**outer, "ENV": "bench", "OPA_LOGLEVEL": "warning", **environment},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stderr}")
    return json.loads(done.stdout)

"""Keeps web pages away from the port of the debugger.

debugpy's adapter takes any line for a header, and so each POST request of a browser for a message; and a page may send
such a request to 127.0.0.1 without asking anyone. The adapter is a process of debugpy's own, with an environment that
one can choose: there the folder of this package comes first, so that Python imports its `sitecustomize` at the start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PORT_VARIABLE = "OPA_DEBUG_GATE_PORT"


def gated(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """The environment of an adapter that speaks to debuggers alone on `port`."""
    paths = [str(Path(__file__).parent), *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths), PORT_VARIABLE: str(port)}

"""The command of the one process that a mode is in development, and the status with which that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opa.serve.handed import Handed

MISTAKE = os.EX_CONFIG
"""Exit status under a supervisor of a process that ends in the same way each time, until a file changes."""


def command(
    supervisor: int | None = None,
    mistakes: Path | None = None,
    imports: Path | None = None,
    handed: Handed | None = None,
    *,
    module: str = "opa.serve",
) -> list[str]:
    """The command that runs the mode in one process; see `opa.serve.single`.

    Args:
        supervisor: process id of a parent to end with.
        mistakes: the file into which it writes why it does not start.
        imports: the file into which it writes what it has imported, when it serves.
        handed: the socket that it serves on.
        module: what is run.
    """
    # -P: plugins of the current folder must not stand in for the modules that opa-stack itself imports.
    command = [sys.executable, "-Xfrozen_modules=off", "-P", "-m", module]
    return [*command, *(str(each) for each in (supervisor, mistakes, imports, handed) if each is not None)]

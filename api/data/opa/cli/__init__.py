"""The command `opa`, also installed as `opa-stack`. One module a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import sys

from opa.cli import check, config, health, plugins, shell, start, tasks, up  # noqa: F401 - each registers its command
from opa.cli.program import app
from opa.errors import OpaError
from opa.process.error_report import print_error

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; a mistake that somebody can fix is one line and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding does not have is shown as an escape, and ends no command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except OpaError as error:
        print_error(error)
        sys.exit(1)

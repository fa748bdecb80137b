"""The command `opa`, also installed as `opa-stack`. One module a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import sys

from opa.errors import OpaError
from opa.process.error_report import print_error


def main() -> None:
    """Run the command; a mistake that a user can fix is one line and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding does not have is shown as an escape, and ends no command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        if sys.argv[1:] == ["start"]:  # which waits for no import that it has no use for
            from opa.cli.start import start

            start()
        else:
            from opa.cli.commands import app

            app()
    except OpaError as error:
        print_error(error)
        sys.exit(1)

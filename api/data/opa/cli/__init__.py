"""The command `opa`, also installed as `opa-stack`. One module a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from opa.errors import OpaError
from opa.process.error_report import print_error


def main() -> None:
    """Run the command; a mistake that a user can fix is one line and exit status 1."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it is closed
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process
        # What the terminal's encoding does not have is shown as an escape, and ends no command.
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()  # not when Python ends, which can no more tell it in a line
    except OSError as error:
        _end_without_output(error)
    except SystemExit as end:
        # Typer makes it of any pipe that is broken, also of a plugin's.
        if isinstance(end.__context__, BrokenPipeError):
            _end_without_output(end.__context__)
        raise


def _run() -> None:
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


def _end_without_output(error: OSError) -> None:
    """End the process where its output cannot be written.

    Raises:
        OSError: it is another error.
    """
    from opa.cli.output import status_without_output

    status = status_without_output(error)
    if status is None:
        raise error
    sys.exit(status)

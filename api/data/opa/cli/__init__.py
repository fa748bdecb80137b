"""The command `opa`, also installed as `opa-stack`. One module a command; each imports what it needs when it runs."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from opa import __version__
from opa.errors import OpaError
from opa.process.error_report import print_error

app = typer.Typer(
    name="opa",
    help="Put a Python file into a folder, and it is an API endpoint, a background task, or both.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from platform import python_version

        print(f"opa-stack {__version__}, Python {python_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before a command."""


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


from opa.cli import check, config, health, plugins, shell, start, tasks, up  # noqa: E402, F401 - importing a command's module registers it

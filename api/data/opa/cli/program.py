"""The Typer application that each module of a command adds its command to."""

from __future__ import annotations

from typing import Annotated

import typer

from opa import __version__
from opa.cli.plugin_group import PluginGroup

app = typer.Typer(
    name="opa",
    cls=PluginGroup,
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

"""`opa up`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from opa.cli.program import app

DEV = "dev"


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address on which the api listens; setting HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port on which the api listens; setting PORT.")] = None,
    reload: Annotated[
        bool | None,
        typer.Option("--reload/--no-reload", help="Restart the api when a file changes; setting RELOAD."),
    ] = None,
    debug: Annotated[
        bool | None,
        typer.Option(
            "--debug/--no-debug",
            help="Let a debugger attach to the api and the worker; setting DEBUGPY. Off by default.",
        ),
    ] = None,
    while_exists: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Stop when this file is removed. It is also removed at the end.")
    ] = None,
) -> None:
    """Run everything on this machine, without Docker: servers for redis and mongo, api, worker and beat with ./plugins.

    A component whose URL you have set uses that server. The data stays in ./.opa.
    While it runs, the other commands find its servers if they run in the same folder.
    ENV is dev unless you set it.
    """
    if while_exists is not None and while_exists.exists() and not while_exists.is_file():
        raise typer.BadParameter(f"{while_exists} is not a file", param_hint="--while-exists")
    options = {"OPA_HOST": host, "OPA_PORT": port, "OPA_RELOAD": reload, "OPA_DEBUGPY": debug}
    # The environment is how the processes that are started get the same settings.
    os.environ.update({name: str(value).lower() for name, value in options.items() if value is not None})
    os.environ.setdefault("ENV", DEV)
    from opa.local.run import OWN_DEFAULTS, run
    from opa.settings.inherited import HANDED_VARIABLE
    from opa.settings.load import load_settings

    # Of an `opa shell` that this was started from.
    os.environ.pop(HANDED_VARIABLE, None)
    try:
        run(load_settings(OWN_DEFAULTS, base_name="opa up"), while_exists)
    finally:
        if while_exists:
            with suppress(OSError):  # what it ends with matters more, and the file has done its work
                while_exists.unlink()

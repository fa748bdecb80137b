"""`opa start`."""

from __future__ import annotations

from opa.cli import app


@app.command()
def start() -> None:
    """Run what the environment variable MODE says, `api` by default. This is what the image runs."""
    import os

    from opa.cli.beside_up import load_beside_up
    from opa.core.settings_handed import HANDED_VARIABLE
    from opa.serve import mode

    # `opa up` has told its own processes.
    mode.start(None if HANDED_VARIABLE in os.environ else load_beside_up)

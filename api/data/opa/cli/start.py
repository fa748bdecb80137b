"""`opa start`."""

from __future__ import annotations

from opa.cli import app


@app.command()
def start() -> None:
    """Run what the environment variable MODE says, `api` by default. This is what the image runs."""
    from opa.serve import mode

    mode.start()

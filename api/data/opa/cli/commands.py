"""The command `opa` with all its commands."""

from __future__ import annotations

from opa.cli import audit, check, config, deps, health, new, openapi, passwd, plugins, shell  # noqa: F401 - each registers its command, and the help shows
from opa.cli.program import app
from opa.cli.start import start

app.command()(start)

from opa.cli import schedule, runs, tasks, up  # noqa: E402, F401, I001 - them in this order

__all__ = ["app"]

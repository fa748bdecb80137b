"""`opa check`: load settings and plugins and build the application, without serving and without a network."""

from __future__ import annotations

from opa.cli import app


@app.command()
def check() -> None:
    """Load settings and plugins as a start would, and say what is wrong; exit status 1 where something is."""
    from opa.core.app import build_app
    from opa.core.prepare import prepare

    manager = prepare()
    build_app(manager)
    loaded = sum(decision.load for decision in manager.decisions)
    print(f"ok: {loaded} plugins loaded, {len(manager.decisions) - loaded} left out")

"""`opa check`: load settings and plugins, build the application and describe it, without serving or a network."""

from __future__ import annotations

from opa.cli import app


@app.command()
def check() -> None:
    """Load settings and plugins as a start would, and say what is wrong; exit status 1 where something is."""
    from opa.cli.beside_up import load_beside_up
    from opa.core.app import build_app
    from opa.core.openapi import build
    from opa.core.prepare import prepare

    manager = prepare(load_beside_up(quiet=True))
    application = build_app(manager)
    if application.openapi_url:
        build(application)
    loaded = sum(decision.load for decision in manager.decisions)
    print(f"ok: {loaded} plugins loaded, {len(manager.decisions) - loaded} left out")

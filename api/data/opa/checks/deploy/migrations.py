"""Whether the databases are as the code expects them."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.finding import Finding
from opa.errors import OpaError

HOOK = "migrations.pending"
SHOWN = 5


def pending_migrations(deployment: Deployment) -> Iterator[Finding]:
    """A finding if migrations of plugins have not run, and nothing runs them at the start."""
    if HOOK not in deployment.manager.sync_hooks or deployment.config.MIGRATE_ON_START:
        return
    try:
        found = deployment.manager.call(HOOK)
    except OpaError as error:
        yield NotChecked(
            f"which migrations have run cannot be told: {error.problem}",
            where=error.where or "opa migrate status",
            hint=error.hint or "Ask again where the servers are reached",
        )
        return
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield Finding(
            f"migrations have not run: {', '.join(found[:SHOWN])}{more}",
            where="opa migrate status",
            hint="Run opa migrate before this code serves",
        )

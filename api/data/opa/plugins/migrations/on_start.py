"""What a start does, and what is asked of a deployment."""

from __future__ import annotations

import asyncio

from opa import OpaError, log
from opa.plugins.migrations.ledger import Job
from opa.plugins.migrations.runner import connected_migrations

COMMANDS = ("command", "shell", "flower")
"""Modes that serve nothing of plugins: `opa migrate` itself is one."""
TIME_LIMIT = 10.0
"""Seconds for all that is asked of a deployment."""


async def migrate(mode: str) -> None:
    """Run what has not run. One that has failed, and may have done a part, is not run again: somebody is to look at it.

    Args:
        mode: of this process.

    Raises:
        OpaError: one has failed.
    """
    if mode in COMMANDS:
        return
    async with connected_migrations() as migrations:
        pending = await migrations.pending()
        if pending:
            log.info(f"{len(pending)} migrations have not run; with MIGRATE_ON_START, the first process runs them")
        jobs = [Job(each, may_repeat=False, tell=log.info) for each in pending]
        await migrations.run(jobs, log.info)


def pending() -> list[str]:
    """The names of those that have not run to their end.

    Raises:
        OpaError: a migration is broken, or a component does not answer.
    """
    return asyncio.run(_pending())


async def _pending() -> list[str]:
    try:
        async with asyncio.timeout(TIME_LIMIT), connected_migrations() as migrations:
            return [str(each) for each in await migrations.pending()]
    except TimeoutError as error:
        raise OpaError(f"a component that migrations change has not answered within {TIME_LIMIT:g} s") from error

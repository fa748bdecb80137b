"""What a start does, and what is asked of a deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from opa import OpaError, log, waiting_for
from opa.plugins.migrations.files import Migration
from opa.plugins.migrations.ledger import Job
from opa.plugins.migrations.records import now
from opa.plugins.migrations.runner import connected_migrations

COMMANDS = ("command", "shell", "flower")
"""Modes that serve nothing of plugins: `opa migrate` itself is one."""
TIME_LIMIT = 10.0
"""Seconds for all that is asked of a deployment."""


async def migrate(mode: str) -> None:
    """Run what has not run. One that has failed, and may have done a part, is not run again: a user has to look at it.

    Args:
        mode: of this process.

    Raises:
        OpaError: one has failed.
    """
    if mode in COMMANDS:
        return
    async with connected_migrations() as migrations:
        pending = await migrations.pending()
        if not pending:
            return
        log.info(f"{len(pending)} migrations have not run; with MIGRATE_ON_START, the first process runs them")
        progress = _Progress(len(pending))
        with waiting_for(progress.text()) as say:
            await migrations.run(progress.jobs(pending, say), log.info)


class _Progress:
    """How far the migrations have come, and whether it is another process that runs them.

    Args:
        count: of those that are to run.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 1
        self._other_since = ""

    def text(self) -> str:
        """What a process says that waits for them."""
        other = f", in another process since {self._other_since}" if self._other_since else ""
        return f"migrations are running: {self._number} of {self._count}{other}"

    def jobs(self, pending: Iterable[Migration], say: Callable[[str], None]) -> Iterator[Job]:
        """What is to be run, each when those before it have been; `say` is told of each change."""

        def note_other(runs: bool) -> None:
            self._other_since = now() if runs else ""
            say(self.text())

        for number, migration in enumerate(pending, 1):
            self._number = number
            say(self.text())
            yield Job(migration, may_repeat=False, tell=log.info, note_other=note_other)


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

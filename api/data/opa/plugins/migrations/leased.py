"""Migrations of what has no transactions: a lock with an owner, which ends by itself where that is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import Any, Protocol

from opa import OpaError, log
from opa.plugins.migrations.calls import called
from opa.plugins.migrations.files import function_of
from opa.plugins.migrations.ledger import Job, Turn, failure, refuse_repetition, words_of
from opa.plugins.migrations.records import DONE, Record, now

LEASE = 30.0
"""Seconds after which the lock of a process that is gone is free."""
RENEWAL = 5.0
PAUSE = 0.2


class Store(Protocol):
    """What keeps records and a lock in a component; each method may be `def` or `async def`."""

    def records(self) -> Any:
        """All of them: a mapping, by the name that `write` was given."""

    def write(self, name: str, record: Mapping[str, Any] | None) -> Any:
        """Keep a record, a mapping of texts and numbers, under a name; None takes it out."""

    def lock(self, owner: str, seconds: float) -> Any:
        """Whether `owner` has the lock now, for so many seconds: it was free or ended, or was the owner's already."""

    def unlock(self, owner: str) -> Any:
        """Let the lock go, if it is the owner's."""


class LostLockError(OpaError):
    """Another process may run migrations by now."""


class LeasedLedger:
    """That of a component with a store.

    Args:
        component: its name.
        instance: what migrations get.
        store: has the records and the lock.
    """

    def __init__(self, component: str, instance: Any, store: Store) -> None:
        self._component = component
        self._instance = instance
        self._store = store

    async def records(self) -> Mapping[tuple[str, str], Record]:
        """What is recorded."""
        kept = await called(self._store.records)
        return {_key(name): Record.from_mapping(record) for name, record in kept.items()}

    async def run(self, job: Job) -> float | None:
        """Run one, see `Ledger.run`."""
        function = None if job.is_mark else function_of(job.migration, job.direction, parameters=1)
        owner = token_hex(16)
        async with self._locked(owner, job):
            record = (await self.records()).get((job.migration.plugin, job.migration.name))
            if not job.is_due(record):
                return None
            if job.is_mark or function is None:
                await self._note(job, Record(DONE, now()))
                return 0.0
            refuse_repetition(job, record)
            await self._note(job, job.begun())
            begin = time.monotonic()
            try:
                await self._while_locked(owner, called(function, self._instance))
            except LostLockError:
                raise  # and no record of a process that may not write any more
            except Exception as error:
                await self._note_failure(job, error, time.monotonic() - begin)
                raise failure(job, error, "What it has done until then is there") from error
            seconds = time.monotonic() - begin
            await self._note(job, Record(DONE, now(), seconds))
            return seconds

    @asynccontextmanager
    async def _locked(self, owner: str, job: Job) -> AsyncIterator[None]:
        turn = Turn(job, f"; if it was killed, for {LEASE:g} s at most")
        while not await called(self._store.lock, owner, LEASE):
            turn.wait()
            await asyncio.sleep(PAUSE)
        turn.begin()
        try:
            yield
        finally:
            with suppress(Exception):  # it ends by itself
                await called(self._store.unlock, owner)

    async def _while_locked(self, owner: str, work: Coroutine[Any, Any, Any]) -> None:
        """Await the work, and renew the lock meanwhile.

        Raises:
            LostLockError: it could not be renewed in time. An `async def` is cancelled; a `def` runs on in its thread.
        """
        working = asyncio.ensure_future(work)
        renewing = asyncio.ensure_future(self._renew(owner))
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                return
            await renewing
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self, owner: str) -> None:
        until = time.monotonic() + LEASE
        while True:
            await asyncio.sleep(RENEWAL)
            asked = time.monotonic()
            try:
                async with asyncio.timeout(max(0.1, until - asked)):
                    is_ours = await called(self._store.lock, owner, LEASE)
            except Exception as error:  # noqa: BLE001 - a client may raise anything; there is some time left
                log.warning("the lock of migrations of '{}' is not renewed: {}", self._component, words_of(error))
                is_ours = None
            if is_ours:
                until = asked + LEASE
            elif is_ours is not None or time.monotonic() >= until - RENEWAL:
                raise LostLockError(
                    f"the lock of the migrations of the component '{self._component}' was lost while one ran",
                    hint="See what it has done, and run opa migrate, which runs it again",
                )

    async def _note(self, job: Job, record: Record) -> None:
        is_gone = job.direction == "downgrade" and record.state == DONE
        await called(self._store.write, _name(job), None if is_gone else record.as_mapping())

    async def _note_failure(self, job: Job, error: Exception, seconds: float) -> None:
        try:
            await self._note(job, job.failed(seconds, error))
        except Exception as second:  # noqa: BLE001 - the first one is told, and this is often why there is one
            log.warning("that {} has failed could not be recorded: {}", job.migration, words_of(second))


def _name(job: Job) -> str:
    return f"{job.migration.plugin}/{job.migration.name}"


def _key(name: str) -> tuple[str, str]:
    plugin, _, migration = name.partition("/")
    return plugin, migration

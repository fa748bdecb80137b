"""A session for one use of a component."""

from __future__ import annotations

import asyncio
from types import TracebackType

from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from opa import log

PAUSE = 0.1
"""Seconds between two tries to close a session that something still uses."""


class AsyncScope:
    """Gives a session, commits it where all went well, and closes it.

    Args:
        sessions: makes it.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        # One that is kept beyond its use is not to begin anew: nobody would commit that, or give back its connection.
        self._session = sessions(close_resets_only=False)

    async def __aenter__(self) -> AsyncSession:
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                await self._session.commit()
            except BaseException:
                await self._roll_back()
                raise
            await self._session.close()
        else:
            await self._roll_back()

    async def _roll_back(self) -> None:
        # Whoever cancels this once more does not cancel that.
        await asyncio.shield(asyncio.ensure_future(self._close()))

    async def _close(self) -> None:
        try:
            await self._session.close()
        except IllegalStateChangeError:
            # A task that was left behind uses it. Nobody waits for that, and no connection is lost by it.
            self._closing = asyncio.ensure_future(self._close_when_free())
        except Exception as error:  # noqa: BLE001 - what has ended the use is the error to tell
            log.debug("a session is not closed well: {!r}", error)

    async def _close_when_free(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self._session.close()
            except IllegalStateChangeError:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                log.debug("a session is not closed well: {!r}", error)
            return


class Scope:
    """The same in a thread.

    Args:
        sessions: makes it.
    """

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._session = sessions(close_resets_only=False)

    def __enter__(self) -> Session:
        return self._session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._session.commit()
            except BaseException:
                self._roll_back()
                raise
            self._session.close()
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        try:
            self._session.close()
        except Exception as error:  # noqa: BLE001 - as above
            log.debug("a session is not closed well: {!r}", error)

"""How a session is closed that something still uses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IllegalStateChangeError

from opa.plugins.driver_sql.sessions import AsyncScope


class Session:
    """One that a task that was left behind uses, at first."""

    def __init__(self) -> None:
        self.is_closed = asyncio.Event()
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def close(self) -> None:
        if not self.begun.is_set():
            self.begun.set()
            await self.goes_on.wait()
            raise IllegalStateChangeError("in use")
        self.is_closed.set()


def test_a_request_that_is_cancelled_twice_loses_no_connection_that_a_task_still_uses() -> None:
    async def run() -> None:
        session = Session()
        sessions: Any = lambda **_: session  # noqa: E731 - in the place of the class that makes them

        async def request() -> None:
            async with AsyncScope(sessions):
                await asyncio.sleep(3600)

        running = asyncio.ensure_future(request())
        await asyncio.sleep(0)
        running.cancel()
        await session.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        session.goes_on.set()
        await asyncio.wait_for(session.is_closed.wait(), 60)

    asyncio.run(run())

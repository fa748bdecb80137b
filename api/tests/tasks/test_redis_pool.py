"""What a pool does when its breaker opens."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from opa.core.breaker import Breaker
from opa.core.log import log
from opa.tasks.redis_pool import GuardedAsyncPool, refusal


class Connection:
    """One that cannot be ended as it should, or that can."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_ended = False

    async def disconnect(self, **_: Any) -> None:
        if self.error is not None:
            raise self.error
        self.is_ended = True


async def pool_of(*connections: Connection) -> GuardedAsyncPool:
    """A pool of the event loop that calls."""
    pool = GuardedAsyncPool.from_url("redis://127.0.0.1:1")
    pool.guard_by(Breaker("redis", lambda: None, is_outage=lambda _: True, refusal=refusal))
    for connection in connections:
        pool._made.add(connection)
    return pool


@pytest.mark.filterwarnings("error")
def test_a_pool_whose_event_loop_is_closed_has_nothing_to_let_go() -> None:
    connection = Connection()
    asyncio.run(pool_of(connection)).let_go()
    gc.collect()
    assert not connection.is_ended


def test_a_connection_that_cannot_be_let_go_is_told_and_keeps_no_other() -> None:
    said: list[str] = []
    bad, good = Connection(ZeroDivisionError("broken")), Connection()
    sink = log.add(said.append, format="{message} {exception}")

    async def let_go() -> None:
        pool = await pool_of(bad, good)
        await asyncio.to_thread(pool.let_go)
        while not (good.is_ended and said):
            await asyncio.sleep(0.01)

    try:
        asyncio.run(asyncio.wait_for(let_go(), 10))
    finally:
        log.remove(sink)
    assert "a connection to redis cannot be let go" in said[0]
    assert "broken" in said[0]

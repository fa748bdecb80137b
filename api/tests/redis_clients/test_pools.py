"""What a pool does when its breaker opens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opa.core.breaker import Breaker
from opa.redis_clients.pools import GuardedAsyncPool, refusal


class Connection:
    """One that cannot be ended as it should, or that can."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_ended = False

    async def disconnect(self, **_: Any) -> None:
        if self.error is not None:
            raise self.error
        self.is_ended = True


def test_a_connection_that_cannot_be_let_go_is_reported_and_keeps_no_other() -> None:
    bad, good = Connection(ZeroDivisionError("broken")), Connection()

    async def let_go() -> None:
        pool = GuardedAsyncPool.from_url("redis://127.0.0.1:1")
        pool.guard_by(Breaker("redis", lambda: None, is_outage=lambda _: True, refusal=refusal))
        for connection in (bad, good):
            pool._made.add(connection)
        await pool.let_go()

    with pytest.raises(ZeroDivisionError, match="broken"):
        asyncio.run(let_go())
    assert good.is_ended

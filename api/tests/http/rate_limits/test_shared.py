"""Counts in redis, of a real server."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from opa._util.rates import Rate, rates_in
from opa.http.rate_limits import shared
from opa.http.rate_limits.shared import BATCH_SIZE, SharedCounts
from opa.http.rate_limits.window import Demand, LocalCounts

TIME = "local time = redis.call('TIME')"


def run(url: str, use: Callable[[Any], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        async with redis.asyncio.Redis.from_url(url) as client:
            return await use(client)

    return asyncio.run(connected())


def demands(text: str) -> list[Demand]:
    name = uuid.uuid4().hex
    return [Demand(f"{name}:{rate.seconds}".encode(), rate) for rate in rates_in(text)]


def test_as_many_pass_as_the_limit_says(redis_url: str) -> None:
    async def use(client: Any) -> list[Any]:
        counts, wanted = SharedCounts(client), demands("100/minute")
        return [await counts.take(wanted) for _ in range(120)]

    outcomes = run(redis_url, use)
    assert [outcome.passes for outcome in outcomes] == [True] * 100 + [False] * 20
    assert [outcome.states[0].remaining for outcome in outcomes[:3]] == [99, 98, 97]
    assert all(0 < outcome.states[0].seconds <= 60.06 for outcome in outcomes)


def test_redis_and_memory_count_alike(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = uuid.uuid4().hex
    assert TIME in shared.SCRIPT
    monkeypatch.setattr(
        shared, "SCRIPT", shared.SCRIPT.replace(TIME, f"local time = redis.call('MGET', '{clock}:s', '{clock}:us')")
    )
    chance = random.Random(1)

    async def use(client: Any) -> None:
        counts, local = SharedCounts(client), LocalCounts()
        for text in ("3/second", "7/2 seconds;20/minute", "5000/minute", "1000000000/366 days"):
            wanted, now = demands(text), 1_800_000_000_000_000
            for _ in range(300):
                now += chance.choice((0, 1, 900, 40_000, 300_000, 2_500_000))
                await client.mset({f"{clock}:s": now // 1_000_000, f"{clock}:us": now % 1_000_000})
                there, here = await counts.take(wanted), local.take(wanted, now / 1e6)
                assert there.passes == here.passes
                assert [left.remaining for left in there.states] == [left.remaining for left in here.states]
                assert [left.seconds for left in there.states] == pytest.approx(
                    [left.seconds for left in here.states], abs=1e-3
                )

    run(redis_url, use)


def test_a_clock_that_goes_back_keeps_nobody_out_for_long(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = uuid.uuid4().hex
    monkeypatch.setattr(
        shared, "SCRIPT", shared.SCRIPT.replace(TIME, f"local time = redis.call('MGET', '{clock}:s', '{clock}:us')")
    )

    async def use(client: Any) -> list[bool]:
        counts, wanted, passes = SharedCounts(client), demands("1/minute"), []
        for seconds in (1_000_000, 999_990, 900_000):
            await client.mset({f"{clock}:s": seconds, f"{clock}:us": 0})
            passes.append((await counts.take(wanted)).passes)
        return passes

    assert run(redis_url, use) == [True, False, True]


def test_requests_at_the_same_time_share_round_trips(redis_url: str) -> None:
    async def use(client: Any) -> tuple[int, int]:
        counts, wanted, trips = SharedCounts(client), demands("100/minute"), 0
        script = counts._script

        async def counted(*args: Any) -> Any:
            nonlocal trips
            trips += 1
            return await script(*args)

        counts._script = counted
        outcomes = await asyncio.gather(*(counts.take(wanted) for _ in range(3 * BATCH_SIZE)))
        return trips, sum(outcome.passes for outcome in outcomes)

    assert run(redis_url, use) == (4, 100)  # the first one is alone, and the others wait for it


def test_a_cancelled_request_keeps_no_other_from_its_count(redis_url: str) -> None:
    async def use(client: Any) -> bool:
        counts, wanted = SharedCounts(client), demands("100/minute")
        first, second = (asyncio.ensure_future(counts.take(wanted)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).passes and (await counts.take(wanted)).passes

    assert run(redis_url, use) is True


def test_an_error_of_redis_reaches_each_who_waits_and_the_next_is_counted(redis_url: str) -> None:
    async def use(client: Any) -> list[Any]:
        counts, bad = SharedCounts(client), [Demand(uuid.uuid4().hex.encode(), Rate(1, 1))]
        await client.set(bad[0].key, "no list")
        outcomes = await asyncio.gather(counts.take(bad), counts.take(bad), return_exceptions=True)
        await client.delete(bad[0].key)
        return [*map(type, outcomes), (await counts.take(bad)).passes]

    assert run(redis_url, use) == [redis.exceptions.ResponseError, redis.exceptions.ResponseError, True]


def test_counts_in_redis_expire_after_their_window(redis_url: str) -> None:
    async def use(client: Any) -> tuple[int, int, int]:
        counts, wanted = SharedCounts(client), demands("5/2 seconds")
        for _ in range(9):
            await counts.take(wanted)
        key = wanted[0].key
        return await client.pttl(key), await client.llen(key), await client.memory_usage(key)

    ttl, length, size = run(redis_url, use)
    assert 1000 < ttl <= 2002
    assert length <= 12
    assert size < 300

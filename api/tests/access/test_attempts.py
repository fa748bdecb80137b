"""Wrong credentials, counted: in this process and in redis alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis
import redis.asyncio

from opa.access import attempts as module
from opa.access.attempts import MOST, Attempts, LocalTracks

Use = Callable[[Attempts], Awaitable[None]]


@asynccontextmanager
async def counting(url: str | None, project: str = "", **limits: Any) -> AsyncIterator[Attempts]:
    config = SimpleNamespace(
        PROJECT_ID=project or uuid4().hex,
        PROJECT_NAME="",
        WRONG_ATTEMPTS_PER_ADDRESS=limits.get("address", 5),
        WRONG_ATTEMPTS_PER_KEY=limits.get("key", 3),
        WRONG_ATTEMPTS_MAX_WAIT=limits.get("longest", 900.0),
    )
    components: dict[str, Any] = {}
    client = None if url is None else redis.asyncio.Redis.from_url(url)
    if client is not None:
        components["aioredis"] = SimpleNamespace(get_instance=lambda: client)
    manager: Any = SimpleNamespace(config=config, optional_components=components, kept={})
    try:
        yield Attempts(manager)
    finally:
        if client is not None:
            await client.aclose()


def run(use: Use, url: str | None, **limits: Any) -> None:
    async def main() -> None:
        async with counting(url, **limits) as attempts:
            await use(attempts)

    asyncio.run(main())


@pytest.fixture(params=["local", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "local" else str(request.getfixturevalue("redis_url"))


def test_after_so_many_of_an_address_it_has_to_wait_and_no_other(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        waits = [(await attempts.wrong("192.0.2.1")).wait for _ in range(7)]
        assert waits[:5] == [0] * 5
        assert all(9 < wait <= 10 for wait in waits[5:])
        assert attempts.wait_of("192.0.2.1") > 9
        assert attempts.wait_of("192.0.2.2") == 0
        assert (await attempts.wrong("192.0.2.2")).wait == 0

    run(use, url)


def test_wrong_ones_of_one_subject_hold_up_that_subject_and_not_the_address(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        waits = [(await attempts.wrong("192.0.2.1", "key")).wait for _ in range(50)]
        assert waits[:3] == [0] * 3
        assert all(waits[3:])
        assert attempts.wait_of("192.0.2.1") == 0
        assert (await attempts.wrong("192.0.2.2", "key")).wait == 0  # the owner, elsewhere
        for number in range(4):
            assert (await attempts.wrong("192.0.2.1", f"key {number}")).wait == 0
        assert attempts.wait_of("192.0.2.1") > 9

    run(use, url)


def test_of_many_at_once_no_more_are_answered(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        found = await asyncio.gather(*(attempts.wrong("192.0.2.1") for _ in range(200)))
        assert sum(attempt.wait == 0 for attempt in found) == 5

    run(use, url)


def test_each_time_is_longer_up_to_the_longest(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.1)

    async def use(attempts: Attempts) -> None:
        times = [(await attempts.wrong("192.0.2.1")).address.after for _ in range(5)][-1:]
        for _ in range(3):
            while attempts.wait_of("192.0.2.1"):
                await asyncio.sleep(0.01)
            while (found := await attempts.wrong("192.0.2.1")).wait:  # redis has a clock of its own
                await asyncio.sleep(0.01)
            times.append(found.address.after)
        assert times == pytest.approx([0.1, 0.2, 0.3, 0.3], abs=0.01)

    run(use, url, longest=0.3)


def test_attempts_after_the_window_begin_anew(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 0.2)

    async def use(attempts: Attempts) -> None:
        for _ in range(3):
            for _ in range(4):
                assert (await attempts.wrong("192.0.2.1")).address.after == 0
            await asyncio.sleep(0.25)

    run(use, url)


def test_a_right_credential_does_not_count(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        for _ in range(50):
            found = await attempts.wrong("192.0.2.1", "anna")
            assert found.wait == 0
            await attempts.take_back("192.0.2.1", "anna", found, is_right=True)
        for _ in range(2):
            await attempts.wrong("192.0.2.1", "anna")
        last = await attempts.wrong("192.0.2.1", "anna")
        assert last.subject.after > 0
        await attempts.take_back("192.0.2.1", "anna", last, is_right=True)
        assert attempts.wait_of("192.0.2.1", "anna") == 0
        assert (await attempts.wrong("192.0.2.1", "anna")).wait == 0

    run(use, url)


def test_an_attempt_that_could_not_be_checked_takes_back_itself_alone(url: str | None) -> None:
    """Else whoever keeps the check busy could guess for ever."""

    async def use(attempts: Attempts) -> None:
        async def busy() -> None:
            found = await attempts.wrong("192.0.2.1", "anna")
            assert found.wait == 0
            await attempts.take_back("192.0.2.1", "anna", found, is_right=False)

        for _ in range(20):
            await busy()
        for _ in range(2):
            assert (await attempts.wrong("192.0.2.1", "anna")).subject.after == 0
            await busy()
        assert (await attempts.wrong("192.0.2.1", "anna")).subject.after > 0
        assert (await attempts.wrong("192.0.2.1", "anna")).wait > 0

    run(use, url)


def test_a_clock_that_went_back_lets_nobody_wait_for_ever(redis_url: str) -> None:
    year = 31_536_000_000
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        later = int(client.time()[0]) * 1000 + year

        async def main() -> None:
            async with counting(redis_url, "clock") as attempts:
                client.set("opa:clock:attempts:192.0.2.1", f"9 7 {later} {later + 900_000}", px=year)
                client.set("opa:clock:attempts:192.0.2.2", f"4 0 0 {later}", px=year)
                client.set("opa:clock:attempts.new", 10 * MOST, px=year)
                for address in ("192.0.2.1", "192.0.2.2"):
                    assert (await attempts.wrong(address)).address == (0, 0, True)
                assert 0 < client.pttl("opa:clock:attempts:192.0.2.1") <= 60_000
                await attempts.wrong("192.0.2.3")
                assert 0 < client.pttl("opa:clock:attempts.new") <= 60_000

        asyncio.run(main())


def test_any_text_can_be_the_address(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(attempts: Attempts) -> None:
        if url is not None:  # then redis counts all of them
            monkeypatch.setattr(LocalTracks, "take", None)
        for address in ("new", ".new", "a b", "x" * 10_000, "\u2028\xff"):
            assert [(await attempts.wrong(address)).wait > 0 for _ in range(6)] == [False] * 5 + [True]

    run(use, url)


def test_limits_that_are_null_and_an_unknown_address_count_nothing(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        for _ in range(50):
            assert (await attempts.wrong("192.0.2.1", "key")).wait == 0

    async def unknown(attempts: Attempts) -> None:
        for _ in range(50):
            assert (await attempts.wrong("", "key")).wait == 0

    run(use, url, address=None, key=None)
    run(unknown, url)


def test_processes_count_together(redis_url: str) -> None:
    async def main() -> None:
        async with counting(redis_url, "both") as one, counting(redis_url, "both") as other:
            found = [await each.wrong("192.0.2.1") for _ in range(5) for each in (one, other)]
            assert sum(attempt.wait == 0 for attempt in found) == 5
            assert one.wait_of("192.0.2.1") > 9
            assert other.wait_of("192.0.2.1") > 9

    asyncio.run(main())


def test_any_text_can_be_the_subject(url: str | None) -> None:
    async def use(attempts: Attempts) -> None:
        for subject in ("a b", "\ud800", "x" * 100_000, "\0\r\n"):
            assert [(await attempts.wrong("192.0.2.1", subject)).wait > 0 for _ in range(4)] == [False] * 3 + [True]

    run(use, url)


def test_a_million_addresses_take_no_more_memory_than_so_many() -> None:
    tracks = LocalTracks()
    for number in range(1_000_000):
        tracks.take(str(number), 5, 900, 0.0)
    assert len(tracks) == MOST


def test_redis_takes_no_more_new_addresses_a_minute_than_so_many(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 20)

    async def main() -> None:
        async with counting(redis_url, "many", key=None) as attempts:
            for number in range(100):
                await attempts.wrong(f"192.0.2.{number}")
            for _ in range(5):
                await attempts.wrong("192.0.2.1")
            assert attempts.wait_of("192.0.2.1") > 9

    asyncio.run(main())
    with redis.Redis.from_url(redis_url) as client:
        assert len(client.keys("opa:many:attempts:*")) == 20
        assert all(client.pttl(key) > 0 for key in client.keys("opa:many:attempts*"))

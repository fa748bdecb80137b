"""The keys in redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio.client import Pipeline

from opa import ComponentUnavailableError, OpaError
from opa.plugins.access_keys.making import new_key
from opa.plugins.access_keys.records import NOBODY, KeyRecord
from opa.plugins.access_keys.store import Change, KeyStore
from opa.plugins.driver_redis import Aioredis
from tests.servers import Server

NOW = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
BOT, _ = new_key("bot", ["shop:read"], None, NOW)
CRON, _ = new_key("cron", [], None, NOW)


@asynccontextmanager
async def opened(url: str, **opts: Any) -> AsyncIterator[tuple[KeyStore, Any, str]]:
    """A store of a project of its own, the client, and the name of its keys."""
    driver = Aioredis({"URL": url, **opts})
    client = driver.new_client()
    project = uuid4().hex
    try:
        yield KeyStore(client, project), client, f"opa:{project}:access:keys"
    finally:
        await client.aclose()


async def add(store: KeyStore, *records: KeyRecord) -> None:
    for record in records:
        await store.put(always(record))


def always(record: KeyRecord) -> Change:
    return lambda _known: record


@pytest.mark.parametrize("opts", [{}, {"DECODE_RESPONSES": True}])
def test_a_key_is_found_by_its_id_and_gone_when_it_is_removed(redis_url: str, opts: dict[str, Any]) -> None:
    async def run() -> None:
        async with opened(redis_url, **opts) as (store, client, key):
            await add(store, BOT, CRON)
            await store.note_use(BOT.id, NOW.timestamp(), 60)
            assert await store.find(BOT.id) == BOT
            assert await store.all() == [(BOT, NOW), (CRON, None)]
            assert [await store.remove("bot"), await store.remove("bot")] == [1, 0]
            assert await store.find(BOT.id) is NOBODY
            assert await store.all() == [(CRON, None)]
            assert await client.hlen(f"{key}:used") == 0

    asyncio.run(run())


def test_an_id_that_is_unknown_takes_the_steps_of_one_that_is_known(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    from_mapping = KeyRecord.from_mapping

    def noted(name: str, given: Mapping[str, Any]) -> KeyRecord:
        record = from_mapping(name, given)
        read.append(name)
        return record

    monkeypatch.setattr(KeyRecord, "from_mapping", noted)

    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            await add(store, BOT)
            read.clear()
            await store.find(BOT.id)
            await store.find("0" * 12)
            assert read == ["bot", ""]

    asyncio.run(run())


def test_projects_that_share_a_redis_have_keys_of_their_own(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (ours, _, _), opened(redis_url) as (theirs, _, _):
            await add(ours, BOT)
            assert await theirs.find(BOT.id) is NOBODY

    asyncio.run(run())


def test_a_change_is_made_again_when_another_process_was_quicker(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, _):
            await add(store, BOT)
            seen: list[list[str]] = []
            other = replace(CRON, name="other", id="0" * 12)

            def change(known: Mapping[str, KeyRecord]) -> KeyRecord:
                seen.append(sorted(known))
                return CRON

            watch = Pipeline.watch

            async def beside_another(pipe: Any, name: str) -> Any:
                await watch(pipe, name)
                if not seen:
                    await client.hset(name, other.id, json.dumps({"NAME": other.name, **other.as_mapping()}))

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(Pipeline, "watch", beside_another)
                await store.put(change)
            assert seen == [["bot", "other"], ["bot", "other"]]
            assert [record.name for record, _ in await store.all()] == ["bot", "cron", "other"]

    asyncio.run(run())


def test_a_key_that_a_change_refuses_is_not_written(redis_url: str) -> None:
    def refuse(_: Mapping[str, KeyRecord]) -> KeyRecord:
        raise OpaError("no")

    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            with pytest.raises(OpaError, match="no"):
                await store.put(refuse)
            assert await store.all() == []

    asyncio.run(run())


def test_a_value_in_redis_that_is_no_key_counts_as_none(redis_url: str) -> None:
    """Others may write to the same redis."""
    bad = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"NAME": "x"}',
        '{"NAME": "x", "ID": "b", "SCOPES": 5}',
        b"\xff\x00",
        "[" * 100_000,
    ]

    async def run() -> None:
        async with opened(redis_url) as (store, client, key):
            for number, value in enumerate(bad):
                await client.hset(key, f"bad{number}", value)
            await client.hset(key, b"\xff", b"\xff")
            await add(store, BOT)
            assert {await store.find(f"bad{number}") for number in range(len(bad))} == {NOBODY}
            assert [record for record, _ in await store.all()] == [BOT]
            assert await store.remove("x") == 2

    asyncio.run(run())


def test_a_last_use_that_is_no_time_is_none(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, key):
            await add(store, BOT)
            for text in ("", "x", "9" * 40, "-1", "²"):
                await client.hset(f"{key}:used", BOT.id, text)
                assert await store.all() == [(BOT, None)]

    asyncio.run(run())


def test_the_last_use_is_written_once_in_an_interval(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            await add(store, BOT)
            written = []
            for seconds in (0, 59, 60, 119, 121):
                await store.note_use(BOT.id, NOW.timestamp() + seconds, 60)
                written.append((await store.all())[0][1].timestamp() - NOW.timestamp())  # type: ignore[union-attr]
            assert written == [0, 0, 60, 60, 121]

    asyncio.run(run())


def test_the_last_use_of_a_key_that_was_revoked_meanwhile_does_not_stay(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, key):
            await store.note_use(BOT.id, NOW.timestamp(), 60)
            assert await client.hlen(f"{key}:used") == 0

    asyncio.run(run())


def test_a_redis_that_is_gone_or_has_something_else_is_a_component_that_is_unavailable(
    start_redis: Callable[[], Server],
) -> None:
    server = start_redis()

    async def run() -> None:
        async with opened(server.url) as (store, client, key):
            await client.set(key, "a text")
            with pytest.raises(ComponentUnavailableError, match="WRONGTYPE"):
                await store.find(BOT.id)
            server.kill()
            calls = (
                store.find(BOT.id),
                store.all(),
                add(store, BOT),
                store.remove("bot"),
                store.note_use("a", 1.0, 60),
            )
            for call in calls:
                with pytest.raises(ComponentUnavailableError, match="component 'aioredis' does not answer"):
                    await call

    asyncio.run(run())

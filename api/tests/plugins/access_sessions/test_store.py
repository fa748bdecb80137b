"""The sessions in redis."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from opa import ComponentUnavailableError
from opa.plugins.access_sessions.people import Kept
from opa.plugins.access_sessions.store import Session, SessionStore
from opa.plugins.driver_redis import Aioredis

NOW = 1_800_000_000.0
LIFE = 1000.0
ADA = Session("ada", "v1", NOW)


@asynccontextmanager
async def opened(url: str, **opts: Any) -> AsyncIterator[tuple[SessionStore, Any, str]]:
    """A store of a project of its own, the client, and how its keys begin."""
    client, project = Aioredis({"URL": url, **opts}).new_client(), uuid4().hex
    try:
        yield SessionStore(client, project, idle=60, life=LIFE), client, f"opa:{project}:access:"
    finally:
        await client.aclose()


@pytest.mark.parametrize("opts", [{}, {"DECODE_RESPONSES": True}])
def test_a_session_is_found_by_its_id_until_it_ends(redis_url: str, opts: dict[str, Any]) -> None:
    async def run() -> None:
        async with opened(redis_url, **opts) as (store, _, _):
            first, second = await store.begin("ada", "v1", NOW), await store.begin("ada", "v1", NOW)
            assert first != second
            assert re.fullmatch("opas_[A-Za-z0-9_-]{43}", first)
            assert await store.find(first, NOW) == await store.find(second, NOW + LIFE - 1) == ADA
            await store.end(first)
            assert [await store.find(first, NOW), await store.find(second, NOW)] == [None, ADA]

    asyncio.run(run())


def test_redis_does_not_keep_the_id_of_a_session(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            session_id = await store.begin("ada", "v1", NOW)
            (key,) = [name async for name in client.scan_iter(f"{prefix}session:*")]
            assert session_id.encode() not in key + await client.get(key)

    asyncio.run(run())


def test_it_ends_when_it_is_not_used_and_each_use_puts_that_off(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            session_id = await store.begin("ada", "v1", NOW)
            (key,) = [name async for name in client.scan_iter(f"{prefix}session:*")]
            assert 0 < await client.ttl(key) <= 60
            await client.expire(key, 5)
            await store.find(session_id, NOW)
            assert 5 < await client.ttl(key) <= 60

    asyncio.run(run())


def test_it_ends_after_its_lifetime_however_it_is_used(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            session_id = await store.begin("ada", "v1", NOW)
            assert await store.find(session_id, NOW + LIFE - 1) == ADA
            assert await store.find(session_id, NOW + LIFE) is None

    asyncio.run(run())


def test_the_sessions_of_a_user_and_of_everyone_end_at_once(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, _, _), opened(redis_url) as (theirs, _, _):
            ada, ben = await store.begin("ada", "v1", NOW), await store.begin("ben", "v1", NOW)
            other = await theirs.begin("ada", "v1", NOW)
            await store.end_all("ada")
            assert await store.find(ada, NOW) is None
            assert await store.find(ben, NOW) is not None
            again = await store.begin("ada", "v1", NOW)
            assert await store.find(again, NOW) == ADA
            await store.end_all(None)
            assert [await store.find(again, NOW), await store.find(ben, NOW)] == [None, None]
            assert await theirs.find(other, NOW) == ADA

    asyncio.run(run())


def test_a_user_who_is_named_like_the_count_of_everyone_is_another(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            ada = await store.begin("ada", "v1", NOW)
            await store.end_all("all")
            assert await store.find(ada, NOW) == ADA

    asyncio.run(run())


def test_all_sessions_end_when_redis_has_lost_which_have_ended(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            ended, going_on = await store.begin("ada", "v1", NOW), await store.begin("ben", "v1", NOW)
            await store.end_all("ada")
            assert await store.find(going_on, NOW) is not None
            await client.delete(f"{prefix}sessions:ended")
            assert [await store.find(ended, NOW), await store.find(going_on, NOW)] == [None, None]
            assert await store.find(await store.begin("ada", "v1", NOW), NOW) == ADA
            await store.end_all("ben")
            assert [await store.find(ended, NOW), await store.find(going_on, NOW)] == [None, None]

    asyncio.run(run())


def test_people_can_sign_in_whatever_value_redis_has_for_their_count(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            await client.hset(f"{prefix}sessions:ended", "user:ada", "many")
            assert await store.find(await store.begin("ada", "v1", NOW), NOW) == ADA

    asyncio.run(run())


def test_of_two_who_end_a_session_one_has_ended_it(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, _, _):
            session_id = await store.begin("ada", "v1", NOW)
            assert sorted(await asyncio.gather(*(store.end(session_id) for _ in range(5)))) == [False] * 4 + [True]

    asyncio.run(run())


@pytest.mark.parametrize(
    "value", ["[" * 100_000, "", "no JSON", "[]", '"text"', "{}", "null", '{"USER": "ada", "VERSION": "v1"}']
)
def test_a_value_that_others_have_put_into_redis_is_no_session(redis_url: str, value: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            session_id = await store.begin("ada", "v1", NOW)
            (key,) = [name async for name in client.scan_iter(f"{prefix}session:*")]
            await client.set(key, value)
            assert await store.find(session_id, NOW) is None

    asyncio.run(run())


GOOGLE = Kept("google", frozenset({"b", "a"}), {"sub": "1", "email": "ada@example.com"})


@pytest.mark.parametrize("opts", [{}, {"DECODE_RESPONSES": True}])
def test_a_session_keeps_who_is_not_in_the_settings(redis_url: str, opts: dict[str, Any]) -> None:
    async def run() -> None:
        async with opened(redis_url, **opts) as (store, _, _):
            session_id = await store.begin("issuer|1", "v1", NOW, kept=GOOGLE)
            assert await store.find(session_id, NOW) == Session("issuer|1", "v1", NOW, GOOGLE)
            await store.end_all("issuer|1")
            assert await store.find(session_id, NOW) is None

    asyncio.run(run())


@pytest.mark.parametrize(
    "change",
    [
        {"KEPT": None},
        {"KEPT": "text"},
        {"KEPT": []},
        {"KEPT": {}},
        {"KEPT": GOOGLE.record | {"CLAIMS": {}}},
        {"KEPT": GOOGLE.record | {"CLAIMS": [1]}},
        {"KEPT": GOOGLE.record | {"SCOPES": 5}},
        {"KEPT": {"SCOPES": [], "CLAIMS": {"sub": "1"}}},
    ],
    ids=str,
)
def test_a_person_that_others_have_put_into_a_session_is_none(redis_url: str, change: dict[str, Any]) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            session_id = await store.begin("issuer|1", "v1", NOW, kept=GOOGLE)
            (key,) = [name async for name in client.scan_iter(f"{prefix}session:*")]
            await client.set(key, json.dumps({**json.loads(await client.get(key)), **change}))
            assert await store.find(session_id, NOW) is None

    asyncio.run(run())


def test_an_answer_of_a_provider_is_used_once(redis_url: str) -> None:
    async def run() -> None:
        async with opened(redis_url) as (store, client, prefix):
            at_once = await asyncio.gather(*(store.use_once("state", 60) for _ in range(3)))
            assert sorted(at_once) == [False, False, True]
            assert await store.use_once("another", 60)
            keys = [name async for name in client.scan_iter(f"{prefix}sign-in:*")]
            assert len(keys) == 2
            assert all([0 < await client.ttl(key) <= 60 and b"state" not in key for key in keys])

    asyncio.run(run())


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.begin("ada", "v1", NOW),
        lambda store: store.find("x", NOW),
        lambda store: store.end("x"),
        lambda store: store.end_all("ada"),
        lambda store: store.use_once("state", 60),
    ],
)
def test_a_store_of_sessions_whose_redis_does_not_answer_raises_component_unavailable(
    use: Callable[[SessionStore], Awaitable[object]],
) -> None:
    async def run() -> None:
        async with opened("redis://127.0.0.1:1") as (store, _, _):
            with pytest.raises(ComponentUnavailableError, match="does not answer about sessions"):
                await use(store)

    asyncio.run(run())

"""Fixtures for the tests of the tests of projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.suite import Suite

SHOP = """
    from typing import Annotated

    from redis.asyncio import Redis

    from opa import Actor, Component, PluginSettings, Requires, get_router, task

    router = get_router()


    class Settings(PluginSettings):
        limit: int = 10


    @router.get("/limit")
    async def limit() -> int:
        return Settings.current().limit


    @router.post("/orders")
    async def order(redis: Annotated[Redis, Component("aioredis")]) -> int:
        return await redis.incr("orders")


    @router.post("/restock/{article}")
    async def send(article: str) -> str:
        return (await restock.send(article, number=2)).id


    @router.get("/who")
    async def who(actor: Annotated[Actor, Requires("shop:read")]) -> dict:
        return {"id": actor.id, "kind": actor.kind, "claims": dict(actor.claims)}


    @task
    async def restock(article: str, number: int = 1) -> str:
        return f"{number} of {article}"
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A project with a shop."""
    suite = Suite(tmp_path)
    suite.write("plugins/shop.py", SHOP)
    return suite

"""A counter in redis, through the asynchronous client and through the synchronous one."""

from typing import Annotated

from redis.asyncio import Redis
from walrus import Database

from opa import Component, get_router

router = get_router(tags=["counters"])

PREFIX = "counter:"
"""Before the key that a caller names, so that it is none of what else there is in redis."""


@router.get("/counter-async")
async def counter_async(redis: Annotated[Redis, Component("aioredis")], key: str = "counter-async") -> str:
    """Count with redis-py's asynchronous client."""
    return f"Counter is {await redis.incr(PREFIX + key)}"


@router.get("/counter-sync")
def counter_sync(walrus: Annotated[Database, Component("walrus")], key: str = "counter-sync") -> str:
    """Count with walrus. It has no `await`, so the route is a plain `def`, which runs in a thread."""
    return f"Counter is {walrus.incr(PREFIX + key)}"

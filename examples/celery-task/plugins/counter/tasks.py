"""A task that takes its time, and says how far it is."""

from __future__ import annotations

from asyncio import sleep
from typing import Any

from redis.asyncio import Redis

from opa import get_instance, task

PAUSE = 0.5
KEPT = 86_400
"""Seconds that redis keeps the number: as long as the result."""


@task(bind=True, queue="counter")
async def count(self: Any, to: int) -> int:
    """Count up to a number. When its worker is killed another one runs it again: it goes on where it was."""
    redis: Redis = get_instance("aioredis")
    key = f"counter:{self.request.id}"
    for number in range(int(await redis.get(key) or 0) + 1, to + 1):
        await sleep(PAUSE)
        await redis.set(key, number, ex=KEPT)
        self.update_state(state="PROGRESS", meta={"counted": number, "to": to})
    return to

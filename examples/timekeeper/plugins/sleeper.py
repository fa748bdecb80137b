"""The same wait twice: in a route that is `async def`, and in one that is not."""

import asyncio
import time
from typing import Annotated

from fastapi import Path

from opa import get_router, log

router = get_router(tags=["sleeper"])

Seconds = Annotated[float, Path(ge=0, le=10)]


@router.get("/sleep-async/{seconds}")
async def sleep_async(seconds: Seconds) -> str:
    """Runs on the event loop, and gives it back with every `await`: thousands of requests can wait here at once."""
    log.info("sleeping for {} s on the event loop", seconds)
    await asyncio.sleep(seconds)
    return f"I slept for {seconds:g} seconds"


@router.get("/sleep-sync/{seconds}")
def sleep_sync(seconds: Seconds) -> str:
    """Runs in a thread, of which each process has 40: for libraries that have no `await`."""
    log.info("sleeping for {} s in a thread", seconds)
    time.sleep(seconds)
    return f"I slept for {seconds:g} seconds"

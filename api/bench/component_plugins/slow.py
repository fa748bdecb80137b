"""The plugin: drivers that take a second to connect, and a route that shows that the application serves."""

import asyncio
import time

from opa import Driver, get_router

CONNECTING = 1.0

router = get_router()


class Slow(Driver):
    """Connects in a thread."""

    name = "slow"

    def connect(self) -> None:
        """Wait, as for a server that is far away."""
        time.sleep(CONNECTING)
        self.instance = object()


class SlowAsync(Driver):
    """Connects on the event loop."""

    name = "slow-async"

    async def connect(self) -> None:
        """Wait without holding the event loop."""
        await asyncio.sleep(CONNECTING)
        self.instance = object()


@router.get("/hello")
async def hello() -> dict[str, str]:
    """What the measurement waits for."""
    return {"message": "hello"}

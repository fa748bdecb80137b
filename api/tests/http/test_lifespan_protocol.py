from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Message

from opa.errors import OpaError
from opa.http.application import Api
from tests.project import Project


def start(app: Api) -> list[Message]:
    """What the application tells the server while it starts."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        with suppress(OpaError):
            await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(run())
    return sent


def test_a_mistake_at_start_reaches_the_server_as_one_line(project: Project) -> None:
    project.component("THING", "redis-aioredis", URL="redis://127.0.0.1:1")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.2)
    (message,) = start(project.app())
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("component 'thing' (driver redis-aioredis) did not connect within 0.2 s")
    assert "\n" not in message["message"]


def test_an_application_that_starts_and_stops_says_so(project: Project) -> None:
    assert [message["type"] for message in start(project.app())] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]

"""Pages that follow what happens: a browser asks the same path for events, and is sent the page when it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opa import is_stopping

EVENTS = "text/event-stream"
INTERVAL = 2.0
"""Seconds after which a page is made again."""
LIFETIME = 30.0
"""Seconds after which a stream ends. The browser asks again, so that who may read is asked again as well."""
MOST_STREAMS = 50
"""Of a process; a browser that finds no place asks again later."""
_TICK = 0.2


def wants_events(request: Request) -> bool:
    """Whether the browser asks for events."""
    return request.method == "GET" and request.headers.get("accept", "") == EVENTS


class Streams:
    """The streams of events of this process."""

    def __init__(self) -> None:
        self._count = 0

    async def answer(self, make: Callable[[], Awaitable[str]]) -> Response:
        """A stream of what `make` gives, whenever that is something else than before.

        It is called once before the answer begins: what it raises then is the answer, and the browser asks no more.
        """
        headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
        if self._count >= MOST_STREAMS:
            return Response(status_code=503, headers={**headers, "Retry-After": "10"})
        self._count += 1
        try:
            html = await make()
        finally:
            self._count -= 1
        return StreamingResponse(self._events(html, make), media_type=EVENTS, headers=headers)

    async def _events(self, html: str, make: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
        self._count += 1
        try:
            end, sent = monotonic() + LIFETIME, ""
            yield f"retry: {round(INTERVAL * 1000)}\n\n"
            while monotonic() < end and not is_stopping():
                if html != sent:
                    yield event(html)
                    sent = html
                await _pause()
                html = await make()
        except HTTPException:  # what it shows is there no more: the browser asks again, and is told so
            return
        finally:
            self._count -= 1


async def _pause() -> None:
    for _ in range(round(INTERVAL / _TICK)):
        if is_stopping():
            return
        await asyncio.sleep(_TICK)


def event(text: str) -> str:
    """A text as one event: each line of it is a line of data."""
    return "".join(f"data: {line}\n" for line in text.replace("\r", "").split("\n")) + "\n"

"""A websocket that may not go on is closed once, and loses no message, whichever of its tasks are told."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from opa.http.gone import ClientGoneError, WatchedWebSocket

TEXT: Message = {"type": "websocket.receive", "text": "hello"}
SENT: Message = {"type": "websocket.send", "text": "hello"}
GONE: Message = {"type": "websocket.disconnect", "code": 1008}


class Server:
    """That of a websocket, on which one text has arrived: nothing may be sent to it any more once it is closed."""

    def __init__(self) -> None:
        self.arrived = [TEXT]
        self.closes: list[int] = []
        self.websocket = WatchedWebSocket(self.receive, self.send)

    async def receive(self) -> Message:
        return self.arrived.pop()

    async def send(self, message: Message) -> None:
        if self.closes:
            raise RuntimeError("it is closed")
        if message["type"] == "websocket.close":
            self.closes.append(message["code"])
        await asyncio.sleep(0)


def test_of_many_tasks_that_use_a_websocket_one_closes_it_and_all_are_told() -> None:
    async def run() -> None:
        server = Server()

        async def refused() -> bool:
            await asyncio.sleep(0)
            return False

        server.websocket.recheck = refused
        sends = (server.websocket.send(SENT) for _ in range(3))
        told = await asyncio.gather(server.websocket.receive(), *sends, return_exceptions=True)

        assert told[0] == GONE
        assert [type(each) for each in told[1:]] == [ClientGoneError] * 3
        assert server.closes == [1008]

    asyncio.run(run())


def test_a_websocket_that_the_plugin_closes_meanwhile_is_not_closed_again() -> None:
    async def run() -> None:
        server = Server()

        async def closed_meanwhile() -> bool:
            await server.websocket.send({"type": "websocket.close", "code": 1000})
            return False

        server.websocket.recheck = closed_meanwhile

        assert await server.websocket.receive() == GONE
        assert server.closes == [1000]

    asyncio.run(run())


@pytest.mark.parametrize("end", [asyncio.CancelledError, ValueError])
def test_a_message_is_not_lost_where_whoever_waits_for_it_gives_up(end: type[BaseException]) -> None:
    """As with `asyncio.wait_for(websocket.receive_text(), 1)`."""

    async def run() -> None:
        server = Server()
        answers = [end()]

        async def recheck() -> bool:
            if answers:
                raise answers.pop()
            return True

        server.websocket.recheck = recheck
        with pytest.raises(end):
            await server.websocket.receive()

        assert await server.websocket.receive() == TEXT

    asyncio.run(run())

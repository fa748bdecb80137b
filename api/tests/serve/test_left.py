"""What goes on after its client has gone ends in its time too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from opa import limits
from tests.project import Project
from tests.serve.raw import get
from tests.serve.served import WEBSOCKET, served, until


@limits(time=None)
def patient() -> None:
    """Stands for the endpoint of a route."""


class Application:
    """Waits for what never happens, and notes how that ends."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/patient":
            scope["endpoint"] = patient
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        elif scope["path"] == "/behind":  # as a background task does
            while (await receive())["type"] != "http.disconnect":
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            self.ends.append(str(error))


async def leave(project: Project, path: str, *headers: str, later: float, clients: int = 1) -> list[str]:
    """How that ends which clients have left, `later` than now."""
    app = Application()
    async with served(project.config(), app) as server:
        writers = [(await server.connect())[1] for _ in range(clients)]
        for writer in writers:
            writer.write(get(path, *headers))
        await until(lambda: server.tasks() == clients)
        if path != "/behind":
            await until(lambda: app.begun == clients)
        for writer in writers:
            writer.close()
        await until(lambda: not server.open())
        await until(lambda: app.begun == clients)
        server.sweep(later=later)
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.tasks() == clients - len(app.ends)
        return list(app.ends)


@pytest.mark.parametrize("headers", [(), WEBSOCKET], ids=["request", "websocket"])
def test_a_route_whose_client_is_gone_ends_in_the_time_of_a_request(project: Project, headers: tuple[str, ...]) -> None:
    project.settings(REQUEST_TIMEOUT=20)
    assert uvloop.run(leave(project, "/", *headers, later=10)) == []
    assert uvloop.run(leave(project, "/", *headers, later=40)) == ["REQUEST_TIMEOUT"]
    assert uvloop.run(leave(project, "/patient", *headers, later=40_000)) == []


def test_work_that_continues_after_an_answer_is_left_alone(project: Project) -> None:
    assert uvloop.run(leave(project, "/behind", later=40_000)) == []


def test_no_more_websockets_continue_without_clients_than_there_may_be_requests(project: Project) -> None:
    project.settings(MAX_REQUESTS=3)
    assert len(uvloop.run(leave(project, "/patient", *WEBSOCKET, later=1, clients=5))) == 2

"""An open websocket does not outlive what its caller may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from opa.http.access import recheck as module
from opa.http.access.recheck import Recheck
from tests.http.access.badges import BADGES, RIGHT
from tests.project import Project
from tests.serve.process import wait_until

SHOP = """
    import asyncio

    import badges
    from fastapi import WebSocket, WebSocketDisconnect
    from opa import ComponentUnavailableError, Requires, get_router

    router = get_router()
    ended = []

    async def gone(self, connection):
        badges.asked.append("gone")
        raise ComponentUnavailableError("gone", component="x")

    async def hang(self, connection):
        await asyncio.Event().wait()

    @router.post("/change/{how}")
    async def change(how: str):
        if how == "revoke":
            del badges.SCOPES["anna"]
        if how == "take away":
            badges.SCOPES["anna"] = {"other"}
        if how == "remove":
            badges.Badges.__call__ = gone
        if how == "hang":
            badges.Badges.__call__ = hang
        return how

    @router.get("/told")
    async def told():
        return {"ended": ended, "asked": len(badges.asked)}

    @router.websocket("/echo", dependencies=[Requires(), Requires("shop:read")])
    @router.websocket("/by-setting")
    @router.websocket("/open")
    async def echo(websocket: WebSocket):
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect as error:
            ended.append(error.code)

    @router.websocket("/ticks", dependencies=[Requires("shop:read")])
    async def ticks(websocket: WebSocket):
        await websocket.accept()
        try:
            while True:
                await asyncio.sleep(0)
                await websocket.send_text("tick")
        finally:
            ended.append("ticks")
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("badges.py", BADGES)
    project.plugin("shop.py", SHOP)
    project.settings(ACCESS={"/by-setting": "shop:read"}, ACCESS_RECHECK=0.001)
    return project


def talk(socket: WebSocketTestSession) -> None:
    socket.send_text("hello")
    assert socket.receive_text() == "hello"


def many_times(step: Callable[[], object]) -> None:
    for _ in range(10_000):
        step()


def told(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/told").json()
    return found


@pytest.mark.parametrize("how", ["revoke", "take away"])
@pytest.mark.parametrize("path", ["/echo", "/by-setting"])
def test_a_websocket_is_closed_whose_caller_may_not_use_it_any_more(shop: Project, path: str, how: str) -> None:
    with shop.client() as client, client.websocket_connect(path, headers=RIGHT) as socket:
        for _ in range(10):
            talk(socket)
        client.post(f"/change/{how}")
        with pytest.raises(WebSocketDisconnect) as closed:
            many_times(lambda: talk(socket))
        assert (closed.value.code, closed.value.reason) == (1008, "not authenticated")
        assert wait_until(lambda: told(client)["ended"]) == [1008]


def test_one_that_only_sends_is_closed_too_and_that_is_no_error(
    shop: Project, caplog: pytest.LogCaptureFixture
) -> None:
    with shop.client() as client, client.websocket_connect("/ticks", headers=RIGHT) as socket:
        client.post("/change/revoke")
        with pytest.raises(WebSocketDisconnect) as closed:
            many_times(socket.receive_text)
        assert closed.value.code == 1008
        assert wait_until(lambda: told(client)["ended"]) == ["ticks"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_while_a_caller_cannot_be_checked_the_websocket_stays_open(shop: Project) -> None:
    with shop.client() as client, client.websocket_connect("/echo", headers=RIGHT) as socket:
        client.post("/change/remove")
        before = told(client)["asked"]

        def is_asked_again() -> bool:
            talk(socket)
            return bool(told(client)["asked"] >= before + 3)

        wait_until(is_asked_again)


@pytest.mark.parametrize(("path", "settings"), [("/open", {}), ("/echo", {"ACCESS_RECHECK": None})])
def test_nobody_is_asked_where_nothing_requires_it_or_the_setting_is_null(
    shop: Project, path: str, settings: dict[str, Any]
) -> None:
    shop.settings(**settings)
    with shop.client() as client, client.websocket_connect(path, headers=RIGHT) as socket:
        before = told(client)["asked"]
        for _ in range(20):
            talk(socket)
        assert told(client)["asked"] == before


def test_of_many_messages_one_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)

    async def run() -> None:
        nonlocal now
        asked: list[float] = []
        recheck = Recheck(HTTPConnection({"type": "websocket", "headers": []}), 60)

        async def is_allowed() -> bool:
            asked.append(now)
            await asyncio.sleep(0)
            return now < 300

        monkeypatch.setattr(recheck, "_is_allowed", is_allowed)
        assert await recheck()
        now = 160.0
        assert await asyncio.gather(*(recheck() for _ in range(5))) == [True] * 5
        assert asked == [160.0]
        now = 300.0
        assert await asyncio.gather(*(recheck() for _ in range(2))) == [False] * 2
        assert asked == [160.0, 300.0]

    asyncio.run(run())


def test_where_nobody_says_in_time_who_calls_the_websocket_is_closed(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.2)
    with shop.client() as client, client.websocket_connect("/echo", headers=RIGHT) as socket:
        talk(socket)
        client.post("/change/hang")
        with pytest.raises(WebSocketDisconnect) as closed:
            many_times(lambda: talk(socket))
        assert (closed.value.code, closed.value.reason) == (1008, "not authenticated")
        assert wait_until(lambda: told(client)["ended"]) == [1008]

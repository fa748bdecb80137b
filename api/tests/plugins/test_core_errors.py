from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from opa.errors import ComponentUnavailableError, OpaError
from opa.plugins import core_errors
from tests.project import Project
from tests.servers import Server, wait_until

COUNTER = """
    from fastapi import WebSocket
    from opa import get_instance, get_router

    router = get_router()

    @router.get("/async")
    async def count_async():
        return await get_instance("aioredis").incr("n")

    @router.get("/sync")
    def count_sync():
        return get_instance("walrus").incr("n")

    @router.websocket("/ws")
    async def count_ws(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_json(await get_instance("aioredis").incr("n"))
        await websocket.close()

    @router.get("/other")
    async def other():
        return "works"
"""


@pytest.fixture
def counter(project: Project) -> Project:
    project.plugin("counter.py", COUNTER)
    return project


def add_user(server: Server) -> None:
    with Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "user", "on", ">hunter2", "~*", "+@all")


def connect_to(counter: Project, server: Server) -> None:
    add_user(server)
    url = server.url.replace("//", "//user:hunter2@")
    counter.component("AIOREDIS", "redis-aioredis", URL=url)
    counter.component("WALRUS", "redis-walrus", URL=url)


def test_a_component_that_is_not_there_is_503_and_the_log_says_why(
    counter: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with counter.client() as client:
        for path, name in (("/async", "aioredis"), ("/sync", "walrus")):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.json() == {"detail": f"component '{name}' is unavailable"}
            assert f"component '{name}' is not loaded: LOAD is no" in capsys.readouterr().err
        assert client.get("/other").status_code == 200


def test_with_details_the_client_is_told_why(counter: Project) -> None:
    counter.settings(READY_DETAILS=True)
    with counter.client() as client:
        assert client.get("/async").json() == {"detail": "component 'aioredis' is not loaded: LOAD is no"}


def test_a_server_that_is_gone_is_503_and_recovers_when_it_is_back(
    counter: Project, start_redis: Callable[[], Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_redis()
    connect_to(counter, server)
    client = TestClient(counter.app())
    with client:
        assert client.get("/async").status_code == 200
        assert client.get("/sync").status_code == 200
        server.stop()
        capsys.readouterr()
        for path, name in (("/async", "aioredis"), ("/sync", "walrus")):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.json() == {"detail": f"component '{name}' does not answer"}
            assert "Traceback" not in answer.text
            assert "hunter2" not in answer.text
        assert client.get("/other").status_code == 200
        logged = capsys.readouterr().err
        assert "component 'aioredis'" in logged
        assert "component 'walrus'" in logged
        assert "Traceback" not in logged
        assert "hunter2" not in logged
        server.start()
        add_user(server)
        for path in ("/async", "/sync"):
            wait_until(lambda: client.get(path).status_code == 200, seconds=10)  # noqa: B023


def test_a_websocket_without_its_component_is_closed_with_its_name(counter: Project) -> None:
    with counter.client() as client, client.websocket_connect("/ws") as websocket:
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_json()
        assert closed.value.code == 1013
        assert closed.value.reason == "component 'aioredis' is unavailable"


def test_a_long_reason_is_cut_to_what_a_websocket_can_carry(project: Project) -> None:
    project.plugin("counter.py", COUNTER.replace("aioredis", "ö" * 100))
    with project.client() as client, client.websocket_connect("/ws") as websocket:
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_json()
        assert closed.value.code == 1013
        assert closed.value.reason.startswith("component 'öö")
        assert 120 < len(closed.value.reason.encode()) <= 123


def test_another_error_stays_what_it_is(counter: Project) -> None:
    counter.plugin(
        "broken.py",
        """
        from opa import get_router
        router = get_router()

        @router.get("/broken")
        async def broken():
            raise KeyError("mine")
        """,
    )
    with counter.client(raise_server_exceptions=False) as client:
        assert client.get("/broken").status_code == 500


def test_a_driver_that_calls_every_error_a_lost_connection_is_refused(project: Project) -> None:
    project.plugin(
        "greedy.py",
        """
        from opa import Driver

        class Greedy(Driver):
            name = "greedy"
            connection_errors = (Exception,)
        """,
    )
    with pytest.raises(OpaError, match="driver 'greedy' has Exception among its connection_errors"):
        project.app()


def test_the_components_that_an_error_may_come_from_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Exception] = []

    def report_failure(error: Exception) -> tuple[list[str], bool]:
        asked.append(error)
        return ["cache"], True

    monkeypatch.setattr(core_errors, "get_plugin_manager", lambda: SimpleNamespace(report_failure=report_failure))
    manager: Any = SimpleNamespace(connection_errors=list)
    connection: Any = SimpleNamespace(url=SimpleNamespace(path="/"))
    error = ComponentUnavailableError("it is refused", component="cache")
    handler: Any = core_errors.exception_handlers(manager)[ComponentUnavailableError]
    answer = asyncio.run(handler(connection, error))
    assert bytes(answer.body) == b'{"detail":"component \'cache\' does not answer"}'
    assert asked == [error]

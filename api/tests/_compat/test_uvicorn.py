"""The private names of uvicorn that are used are there, with the shapes that are relied on."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

from opa._compat import uvicorn as compat
from opa._compat import uvicorn_worker
from tests._compat.shapes import parameters


def test_request_is_started_in_one_place_and_by_the_method_that_is_overridden() -> None:
    there = inspect.getsource(HttpToolsProtocol._start_asgi_task).count("run_asgi(app)")
    assert inspect.getsource(HttpToolsProtocol).count("run_asgi(app)") == there > 0
    assert parameters(HttpToolsProtocol._start_asgi_task) == ["cycle", "app"]


def test_uvicorn_calls_the_plain_methods_of_a_subclass_by_its_own_names() -> None:
    class Protocol(compat.HttpProtocol):
        def start_request(self, cycle: Any, app: Any) -> None: ...

        def note_other_upgrade(self) -> None: ...

    assert Protocol._start_asgi_task is Protocol.start_request
    assert Protocol._unsupported_upgrade_warning is Protocol.note_other_upgrade


def test_subclass_that_overrides_nothing_does_what_uvicorn_does() -> None:
    called: list[Any] = []

    class Task:
        def add_done_callback(self, callback: Any) -> None: ...

    def create_task(coroutine: Any, **_: Any) -> Task:
        called.append(coroutine)
        return Task()

    class Protocol(compat.HttpProtocol):
        def __init__(self) -> None:
            self.loop: Any = SimpleNamespace(create_task=create_task)
            self.tasks = set()
            self.config: Any = SimpleNamespace(reset_contextvars=False)

    async def application() -> None: ...

    cycle: Any = SimpleNamespace(run_asgi=lambda app: app)
    protocol: Any = Protocol()
    protocol._start_asgi_task(cycle, application)
    assert called == [application]


def test_other_upgrades_are_noted_by_the_method_that_is_overridden() -> None:
    assert "self._unsupported_upgrade_warning()" in inspect.getsource(HttpToolsProtocol.data_received)
    assert parameters(HttpToolsProtocol._unsupported_upgrade_warning) == []


def test_protocol_knows_whether_an_upgrade_is_to_a_websocket() -> None:
    protocol: Any = object.__new__(compat.HttpProtocol)
    protocol.ws_protocol_class = object
    found = []
    for wanted in (b"websocket", b"h2c"):
        protocol.headers = [(b"connection", b"Upgrade"), (b"upgrade", wanted)]
        found.append(protocol.asks_for_websocket())
    assert found == [True, False]


def test_flow_control_has_the_transport() -> None:
    told: list[str] = []
    transport: Any = SimpleNamespace(
        pause_reading=lambda: told.append("pause"), resume_reading=lambda: told.append("resume")
    )

    async def stop_and_start() -> None:
        flow = compat.FlowControl(transport)
        flow.stop_transport()
        flow.start_transport()

    asyncio.run(stop_and_start())
    assert told == ["pause", "resume"]


def test_worker_serves_by_the_method_that_is_overridden() -> None:
    assert "self._serve()" in inspect.getsource(UvicornWorker.run)
    assert inspect.iscoroutinefunction(UvicornWorker._serve)
    assert inspect.iscoroutinefunction(uvicorn_worker.UvicornWorker.serve)
    assert isinstance(Arbiter.WORKER_BOOT_ERROR, int)

"""What uvicorn and websockets document nowhere, and the api's own protocols use, is there."""

from __future__ import annotations

import inspect

import httptools
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server
from websockets.server import ServerProtocol


@pytest.mark.parametrize(
    "name",
    [
        "connection_made",
        "connection_lost",
        "data_received",
        "handle_websocket_upgrade",
        "on_body",
        "on_headers_complete",
        "on_message_complete",
        "on_response_complete",
    ],
)
def test_the_methods_of_uvicorns_protocol(name: str) -> None:
    assert inspect.isfunction(vars(HttpToolsProtocol)[name])


@pytest.mark.parametrize(
    "name",
    ["body", "disconnected", "message_event", "response_complete", "response_started", "scope", "transport"],
)
def test_the_attributes_of_uvicorns_cycle(name: str) -> None:
    assert f"self.{name} = " in inspect.getsource(RequestResponseCycle.__init__)


@pytest.mark.parametrize("name", ["app", "connections", "cycle", "flow", "headers", "parser", "pipeline", "tasks"])
def test_the_attributes_of_uvicorns_protocol(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(HttpToolsProtocol.__init__)


@pytest.mark.parametrize(
    "name",
    [
        "connection_lost",
        "data_received",
        "handle_connect",
        "handle_cont",
        "handle_parser_exception",
        "handle_ping",
        "handle_pong",
        "on_task_complete",
        "receive",
        "send",
    ],
)
def test_the_methods_of_uvicorns_websocket(name: str) -> None:
    assert inspect.isfunction(vars(WebSocketsSansIOProtocol)[name])


@pytest.mark.parametrize(
    "name",
    [
        "close_sent",
        "conn",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "queue",
        "read_paused",
        "tasks",
        "transport",
    ],
)
def test_the_attributes_of_uvicorns_websocket(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(WebSocketsSansIOProtocol.__init__)


@pytest.mark.parametrize("name", ["data_to_send", "fail", "reject"])
def test_the_methods_of_the_connection_that_a_websocket_has(name: str) -> None:
    assert inspect.isfunction(getattr(ServerProtocol, name))


def test_the_parser_takes_what_follows_a_request_to_close() -> None:
    parser = httptools.HttpRequestParser(object())
    parser.set_dangerous_leniencies(lenient_data_after_close=True)


def test_uvicorn_looks_around_ten_times_a_second() -> None:
    assert "asyncio.sleep(0.1)" in inspect.getsource(Server.main_loop)
    assert list(inspect.signature(Server.on_tick).parameters) == ["self", "counter"]

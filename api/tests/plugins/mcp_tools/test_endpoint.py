"""Tools over HTTP: who may use them, and that the api serves them as any other route."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.testclient import TestClient

from tests.plugins.mcp_tools.shop import BADGES, SHOP
from tests.plugins.mcp_tools.test_tools import failure
from tests.project import Project
from tests.serve.process import Opa, opa_in, wait_until

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "get_order", "arguments": {"number": "7"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    """An api with two processes, which is not in development."""
    with opa_in(tmp_path_factory.mktemp("api") / "project") as opa:
        opa.plugin("shop.py", SHOP.replace("\\\\", "\\"))
        opa.plugin("badges.py", BADGES)
        opa.start(OPA_MCP_TAGS="assistant", OPA_MCP_URL="/mcp", OPA_REQUEST_ID="true", WEB_CONCURRENCY="2")
        opa.wait_until_ready()
        yield opa


@asynccontextmanager
async def assistant(api: Opa, badge: str, mode: str = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"X-Badge": badge}, timeout=60) as http,
        Client(streamable_http_client(f"http://127.0.0.1:{api.port}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def post(api: Opa, body: bytes | None = None, **headers: str) -> httpx2.Response:
    url = f"http://127.0.0.1:{api.port}/mcp"
    given = {
        **ACCEPT,
        "Content-Type": "application/json",
        **{name.replace("_", "-"): headers[name] for name in headers},
    }
    if body is None:
        return httpx2.post(url, json=CALL, headers=given)
    return httpx2.post(url, content=body, headers=given)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_of_any_version_lists_and_calls(api: Opa, mode: str) -> None:
    async def do() -> None:
        async with assistant(api, "ben", mode) as client:
            assert "get_order" in {tool.name for tool in (await client.list_tools()).tools}
            assert (await client.call_tool("who", {})).structured_content == {"id": "badge:ben", "kind": "badge"}
            assert "there is no tool" in await failure(client, "nope")
            assert "status 503" in await failure(client, "gone")
            calls = [client.call_tool("get_order", {"number": f"n{number}"}) for number in range(200)]
            answers = [result.structured_content or {} for result in await asyncio.gather(*calls)]
            assert [answer["number"] for answer in answers] == [f"n{number}" for number in range(200)]

    asyncio.run(do())
    assert "Session" not in api.log
    assert "session" not in api.log


def test_only_who_has_the_scope_connects(api: Opa) -> None:
    assert post(api).status_code == 401
    assert post(api, X_Badge="mallory").status_code == 401
    refused = post(api, X_Badge="carl")
    assert (refused.status_code, refused.json()) == (403, {"detail": "the scope mcp:use is missing"})
    assert post(api, X_Badge="anna").json()["result"]["structuredContent"]["number"] == "7"


def test_a_call_has_the_request_id_of_the_message(api: Opa) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"seen","arguments":{}}}'
    answer = post(api, body, X_Badge="ben", X_Request_ID="from-outside")
    assert answer.json()["result"]["structuredContent"]["id"] == "from-outside"


def test_a_page_of_another_origin_is_refused(api: Opa) -> None:
    assert post(api, X_Badge="anna", Origin="https://evil.example").status_code == 403
    assert post(api, X_Badge="anna", Origin="null").status_code == 403
    assert post(api, X_Badge="anna", Sec_Fetch_Site="cross-site").status_code == 403
    own = f"http://127.0.0.1:{api.port}"
    assert post(api, X_Badge="anna", Origin=own, Sec_Fetch_Site="same-origin").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"[" * 50_000,
        b"null",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":"x"}',
    ],
)
def test_what_is_no_message_is_an_error_of_the_client(api: Opa, body: bytes) -> None:
    answer = post(api, body, X_Badge="anna")
    assert answer.status_code in (200, 400, 404)
    assert b'"error"' in answer.content


def test_what_is_too_large_is_refused(api: Opa) -> None:
    assert post(api, b" " * 5_000_000, X_Badge="anna").status_code == 413
    assert httpx2.get(f"http://127.0.0.1:{api.port}/mcp", headers={"X-Badge": "anna"}).status_code == 405


def test_a_client_that_goes_half_way_leaves_the_others_alone(api: Opa) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}'
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Badge: anna\r\nContent-Type: application/json\r\n"
        f"Accept: {ACCEPT['Accept']}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for sent in (head + body, head + body[:20], head[:30]):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", api.port)) as connection:
                connection.sendall(sent)
    wait_until(lambda: post(api, X_Badge="anna").status_code == 200, what="it goes on")
    assert "nothing caught" not in api.log
    assert "Traceback" not in api.log.split("GET /fails", maxsplit=1)[0]


def test_in_development_nobody_has_to_be_known(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "dev")
    shop.settings(MCP_URL="/tools/")

    def status(client: TestClient, **headers: str) -> Any:
        answer = client.post("/tools/", json=CALL, headers={**ACCEPT, **headers})
        return (
            answer.json()["result"]["structuredContent"]["number"] if answer.status_code == 200 else answer.status_code
        )

    with TestClient(shop.app(), base_url="http://localhost:8000") as client:
        assert status(client) == "7"
        assert status(client, Host="127.0.0.1") == "7"
        assert status(client, Host="rebound.evil.example") == 403
        assert status(client, Origin="http://evil.example") == 403
        assert status(client, **{"Content-Type": "text/plain"}) == 400


def test_origins_of_the_settings_may_call(shop: Project) -> None:
    shop.settings(MCP_URL="/mcp", ALLOW_ORIGINS=["https://friend.example"])
    with shop.client() as client:
        for origin, expected in (("https://friend.example", 200), ("https://evil.example", 403)):
            headers = {**ACCEPT, "Origin": origin, "X-Badge": "anna"}
            assert client.post("/mcp", json=CALL, headers=headers).status_code == expected

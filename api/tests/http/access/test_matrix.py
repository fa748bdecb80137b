"""What each kind of credential gets, of each kind of thing, in each way to close it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.http.access.badges import BADGES, NO_GOOD, RIGHT, WITHOUT_SCOPE
from tests.project import Project

OPEN = """
    from fastapi import WebSocket
    from opa import get_router

    router = get_router()

    @router.get("/shop/orders")
    async def orders():
        return "secret"

    @router.websocket("/shop/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("secret")
"""
BY_ROUTE = OPEN.replace('orders")', 'orders", dependencies=[Requires("shop:use")])').replace(
    'socket")', 'socket", dependencies=[Requires("shop:use")])'
)
BY_ROUTER = OPEN.replace("get_router()", 'get_router(dependencies=[Requires("shop:use")])')
IMPORTED = "import Requires, get_router"
SCOPE = "shop:use"

# The plugin, the settings, and what who lacks the scope gets of a route, a websocket, and a page of the documentation;
# None where it is open to everyone.
WAYS: dict[str, tuple[str, dict[str, Any], tuple[int | None, int | None, int | None]]] = {
    "route": (BY_ROUTE, {}, (403, 403, None)),
    "router": (BY_ROUTER, {}, (403, 403, None)),
    "plugin": (OPEN, {"ACCESS": {"shop": SCOPE, "core_docs": SCOPE}}, (403, 403, 403)),
    "path": (OPEN, {"ACCESS": {"/shop": SCOPE, "/docs": SCOPE}}, (403, 403, 403)),
    "everything": (OPEN, {"ACCESS": {"*": SCOPE}}, (403, 403, 403)),
    "closed by default": (OPEN, {"ACCESS_DEFAULT": "closed"}, (200, 200, 200)),
}
CREDENTIALS: dict[str, dict[str, str]] = {**NO_GOOD, "without the scope": WITHOUT_SCOPE, "right": RIGHT}


@pytest.mark.parametrize("way", WAYS)
def test_what_each_credential_gets(routed: Project, way: str) -> None:
    plugin, settings, lacking = WAYS[way]
    routed.plugin("badges.py", BADGES)
    routed.plugin("shop.py", plugin.replace("import get_router", IMPORTED))
    routed.settings(**settings)
    refusals = set()
    with routed.client(follow_redirects=False) as client:
        for name, headers in CREDENTIALS.items():
            got = (page(client, "/shop/orders", headers), handshake(client, headers), page(client, "/docs", headers))
            for (status, answer), without_scope in zip(got, lacking, strict=True):
                if without_scope is None or name == "right":
                    assert status == 200, name
                elif name == "without the scope":
                    assert status == without_scope, name
                else:
                    assert status == 401, name
                    refusals.add(answer)
    # The same for a route, a websocket and a page, and whatever is wrong: nothing tells which credentials there are.
    assert refusals == {('{"detail":"not authenticated"}', ("Badge",))}


Answer = tuple[int, tuple[str, tuple[str, ...]]]


def page(client: TestClient, path: str, headers: dict[str, str]) -> Answer:
    answer = client.get(path, headers=headers)
    return answer.status_code, (answer.text, tuple(answer.headers.get_list("www-authenticate")))


def handshake(client: TestClient, headers: dict[str, str]) -> Answer:
    try:
        with client.websocket_connect("/shop/socket", headers=headers) as socket:
            return 200, (socket.receive_text(), ())
    except WebSocketDenialResponse as refused:
        return refused.status_code, (refused.text, tuple(refused.headers.get_list("www-authenticate")))


def test_without_the_extension_of_the_server_a_websocket_is_closed(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    routed.plugin("shop.py", OPEN)
    routed.settings(ACCESS_DEFAULT="closed")
    with routed.client() as client:
        assert sent_to_handshake(client) == [{"type": "websocket.close", "code": 1008, "reason": "not authenticated"}]


def sent_to_handshake(client: TestClient) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "scheme": "ws",
        "path": "/shop/socket",
        "raw_path": b"/shop/socket",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "extensions": {},
    }
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)
    return sent

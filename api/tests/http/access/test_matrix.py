"""What each credential gets, of each kind of thing, in each way to close it; all authenticators are there at once."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import pytest

from tests.http.access.credentials import SCOPE, Credential, Credentials
from tests.serve.process import Opa, opa_in
from tests.serve.raw import get
from tests.serve.served import WEBSOCKET
from tests.token_issuer import token_issuer

PLUGIN = """
    from fastapi import WebSocket
    from fastapi.openapi.docs import get_swagger_ui_html
    from opa import Requires, get_router

    router = get_router(prefix="PREFIX", include_in_schema=False, dependencies=[OF_THE_ROUTER])

    @router.get("", dependencies=[OF_EACH_ROUTE])
    async def orders():
        return "secret"

    @router.websocket("", dependencies=[OF_EACH_ROUTE])
    async def talk(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    @router.get("/docs", dependencies=[OF_EACH_ROUTE])
    async def docs():
        return get_swagger_ui_html(openapi_url="/openapi.json", title="secret")
"""
REQUIRES = f'Requires("{SCOPE}")'


class Way(NamedTuple):
    """A way to close something.

    Attributes:
        path: of the route and the websocket that are closed by it.
        page: a page of the documentation that is.
        page_has: text of that.
        of_route: the dependency of each route.
        of_router: that of the router.
        access: what stands in ACCESS for it.
        needs_scope: whether it is not enough to be known.
    """

    path: str
    page: str
    page_has: bytes
    of_route: str = ""
    of_router: str = ""
    access: dict[str, str] = {}
    needs_scope: bool = True


# The shipped pages have no `Requires`: for that, the plugin has a page of its own.
WAYS = {
    "route": Way("/by-route", "/by-route/docs", b"secret", of_route=REQUIRES, access={"route": "open"}),
    "router": Way("/by-router", "/by-router/docs", b"secret", of_router=REQUIRES, access={"router": "open"}),
    "plugin": Way("/by-plugin", "/redoc", b"ReDoc", access={"plugin": SCOPE, "core_docs": SCOPE}),
    "path": Way("/by-path", "/docs", b"Swagger UI", access={"/by-path": SCOPE, "/docs": SCOPE}),
    "default": Way("/by-default", "/openapi.json", b'"openapi"', needs_scope=False),
}
KINDS = ("API key", "API key in the settings", "JWT", "session")
NO_GOOD = ("wrong", "unknown", "expired", "revoked")

Ask = Callable[[Way, Credential], bytes]


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[tuple[Opa, dict[str, dict[str, Credential]]]]:
    """The api, and what callers have."""
    with opa_in(tmp_path_factory.mktemp("matrix") / "project") as opa, token_issuer() as issuer:
        for name, way in WAYS.items():
            text = PLUGIN.replace("PREFIX", way.path).replace("OF_THE_ROUTER", way.of_router)
            opa.plugin(f"{name}.py", text.replace("OF_EACH_ROUTE", way.of_route))
        credentials = Credentials(opa, issuer, redis_url)
        access = {key: value for way in WAYS.values() for key, value in way.access.items()}
        credentials.settings(ACCESS=access, ACCESS_DEFAULT="closed")
        opa.start(**credentials.environ, WEB_CONCURRENCY="1")
        opa.wait_until_ready()
        yield opa, credentials.of_all_kinds()


def exchange(port: int, request: bytes, source: str) -> bytes:
    """What the server sends, without the time: all of it, or the first message of a websocket."""
    with socket.create_connection(("127.0.0.1", port), timeout=120, source_address=(source, 0)) as client:
        client.sendall(request)
        received = b""
        while data := client.recv(65536):
            received += data
            head, message, _ = received.partition(b"\x81\x06secret")
            if message:
                received = head + message
                break
    return re.sub(rb"(?i)(\r\ndate: )[^\r]+", rb"\1now", received)


class Thing(NamedTuple):
    """What is asked for.

    Attributes:
        request: the bytes of it.
        let_in: how the answer begins.
        has: what is in that.
        to_strangers: how the answer to who is not known begins.
    """

    request: Callable[[Way, Credential], bytes]
    let_in: bytes
    has: Callable[[Way], bytes]
    to_strangers: bytes = b"HTTP/1.1 401 Unauthorized\r\n"


THINGS = {
    "HTTP": Thing(
        lambda way, credential: get(way.path, "Connection: close", *credential),
        b"HTTP/1.1 200 OK\r\n",
        lambda _: b'"secret"',
    ),
    "websocket": Thing(
        lambda way, credential: get(way.path, *WEBSOCKET, *credential),
        b"HTTP/1.1 101 Switching Protocols\r\n",
        lambda _: b"secret",
    ),
    "docs page": Thing(
        lambda way, credential: get(way.page, "Connection: close", *credential),
        b"HTTP/1.1 200 OK\r\n",
        lambda way: way.page_has,
    ),
    "docs page in a browser": Thing(
        lambda way, credential: get(way.page, "Connection: close", "Accept: text/html", *credential),
        b"HTTP/1.1 200 OK\r\n",
        lambda way: way.page_has,
        b"HTTP/1.1 303 See Other\r\n",
    ),
}
CELLS = list(product(KINDS, THINGS, WAYS))


def told(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The first line of an answer, the challenges in it, and its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [line.partition(b": ") for line in lines]
    return first + b"\r\n", [value for name, _, value in pairs if name.lower() == b"www-authenticate"], body


@pytest.mark.parametrize(("kind", "thing", "way"), CELLS)
def test_a_credential_gets_its_answer_of_each_thing_in_each_way_to_close_it(
    served: tuple[Opa, dict[str, dict[str, Credential]]], kind: str, thing: str, way: str
) -> None:
    opa, credentials = served
    asked, closed = THINGS[thing], WAYS[way]
    number = CELLS.index((kind, thing, way))
    # Each from an address of its own, or else those that come late have to wait for the wrong ones before them.
    source = f"127.1.{number // 250}.{number % 250 + 1}"

    def answer(credential: Credential) -> bytes:
        return exchange(opa.port, asked.request(closed, credential), source)

    given = credentials[kind]
    to_nobody = answer(())
    first, challenges, body = told(to_nobody)
    assert first == asked.to_strangers
    if first.startswith(b"HTTP/1.1 401"):
        # Of API keys and of JWT, which have the same.
        assert (challenges, body) == ([b"Bearer"], b'{"detail":"not authenticated"}')
    else:
        assert (challenges, body) == ([], b'{"detail":"sign in"}')
        assert f"location: /sign-in?next={closed.page.replace('/', '%2F')}\r\n".encode() in to_nobody
    # To the last byte: nothing tells which keys, users and sessions there are, or were.
    assert {name: answer(given[name]) for name in NO_GOOD} == dict.fromkeys(NO_GOOD, to_nobody)

    lacking, right = told(answer(given["lacking"])), told(answer(given["right"]))
    assert right[:2] == (asked.let_in, [])
    assert asked.has(closed) in right[2]
    if closed.needs_scope:
        assert lacking == (
            b"HTTP/1.1 403 Forbidden\r\n",
            [b'Bearer error="insufficient_scope", scope="shop:use"'],
            b'{"detail":"the scope shop:use is missing"}',
        )
    else:
        assert lacking == right

"""Routes that require an actor."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from opa import Actor, OpaError, Requires
from opa.core.running import belonging_to
from opa.http.access.authenticate import Asked
from tests.http.access.asgi import ask
from tests.http.access.badges import BADGES
from tests.project import Project

SHOP = """
    from typing import Annotated

    from fastapi import APIRouter, WebSocket
    from opa import Actor, Requires, get_actor, get_router

    router = get_router()
    closed = APIRouter(dependencies=[Requires("shop:write")])

    @router.get("/route")
    def route(actor: Annotated[Actor, Requires("shop:write")]):
        return actor.id

    @router.get("/listed", dependencies=[Requires("shop:write")])
    def listed():
        return get_actor().id

    @closed.get("/routed")
    def routed():
        return get_actor().id

    @router.get("/known")
    def known(actor: Annotated[Actor, Requires()]):
        return actor.id

    @router.get("/open")
    def is_open():
        return get_actor() is None

    @router.websocket("/socket")
    async def socket(websocket: WebSocket, actor: Annotated[Actor, Requires("shop:write")]):
        await websocket.accept()
        await websocket.send_text(actor.id)

    router.include_router(closed)
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("badges.py", BADGES)
    project.plugin("shop.py", SHOP)
    return project


@pytest.mark.parametrize("path", ["/route", "/listed", "/routed"])
def test_only_who_has_the_scope_passes(shop: Project, path: str) -> None:
    with shop.client() as client:
        assert client.get(path, headers={"X-Badge": "anna"}).json() == "badge:anna"
        nobody, wrong = client.get(path), client.get(path, headers={"X-Badge": "mallory"})
        lacking = client.get(path, headers={"X-Badge": "ben"})
    for refused in (nobody, wrong):
        assert (refused.status_code, refused.json()) == (401, {"detail": "not authenticated"})
        assert refused.headers.get_list("www-authenticate") == ["Badge"]
    assert (lacking.status_code, lacking.json()) == (403, {"detail": "the scope shop:write is missing"})
    assert lacking.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="shop:write"'


def test_without_a_scope_it_is_enough_to_be_known(shop: Project) -> None:
    with shop.client() as client:
        assert client.get("/known", headers={"X-Badge": "ben"}).json() == "badge:ben"
        assert client.get("/known").status_code == 401


def test_nobody_is_asked_where_nothing_requires_it(shop: Project) -> None:
    with shop.client() as client:
        assert client.get("/open", headers={"X-Badge": "anna"}).json() is True
        assert client.get("/known", headers={"X-Badge": "anna"}).json() == "badge:anna"
        assert client.get("/open", headers={"X-Badge": "anna"}).json() is True


def test_the_actor_of_a_request_is_not_that_of_the_next_one_which_the_same_task_handles(shop: Project) -> None:
    with shop.client() as client:
        assert ask(client, "/known", "/open", headers=(("X-Badge", "anna"),)) == ['"badge:anna"', "true"]


def test_a_websocket_is_refused_with_the_same_status(shop: Project) -> None:
    with shop.client() as client:
        with client.websocket_connect("/socket", headers={"X-Badge": "anna"}) as socket:
            assert socket.receive_text() == "badge:anna"
        for headers, status in (({}, 401), ({"X-Badge": "mallory"}, 401), ({"X-Badge": "ben"}, 403)):
            with (
                pytest.raises(WebSocketDenialResponse) as refused,
                client.websocket_connect("/socket", headers=headers),
            ):
                pass
            assert refused.value.status_code == status
            assert "www-authenticate" in refused.value.headers


def test_without_an_authenticator_nobody_passes(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    with project.client() as client:
        answer = client.get("/known", headers={"X-Badge": "anna"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("scope", ["", "two words", 'a"b', "back\\slash", "größe", "a\n", None, {"a"}])
def test_requires_refuses_a_text_that_is_no_scope(scope: Any) -> None:
    with pytest.raises(OpaError, match="names no scope"):
        Requires(scope)


ODD = """
    import asyncio
    from opa import Actor, ComponentUnavailableError, register

    calls = []

    @register("authenticators")
    async def first(connection):
        calls.append("first")
        kind = connection.headers.get("X-Kind")
        if kind == "raises":
            raise ZeroDivisionError("planted")
        if kind == "gone":
            raise ComponentUnavailableError("it is not there", component="aioredis")
        if kind == "truth":
            return True
        await asyncio.sleep(0)
        return None

    @register("authenticators")
    async def second(connection):
        calls.append("second")
        return Actor("second", "test", frozenset({"*"}))

    second.sign_in_url = lambda connection: None
"""


@pytest.fixture
def odd(project: Project) -> Project:
    project.plugin("odd.py", ODD)
    project.plugin("shop.py", SHOP)
    return project


@pytest.mark.parametrize("kind", ["raises", "truth"])
def test_an_authenticator_that_fails_lets_nobody_pass_and_is_named(
    odd: Project, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with odd.client(raise_server_exceptions=False) as client:
        answer = client.get("/known", headers={"X-Kind": kind})
    assert answer.status_code == 500
    with odd.client() as client, pytest.raises((ZeroDivisionError, TypeError)) as told:
        client.get("/known", headers={"X-Kind": kind})
    assert any("authenticator 'odd.first'" in note for note in told.value.__notes__)
    assert "second" not in sys.modules["odd"].calls


def test_an_authenticator_whose_store_is_gone_lets_nobody_pass(odd: Project) -> None:
    with odd.client() as client:
        answer = client.get("/known", headers={"X-Kind": "gone"})
        assert (answer.status_code, answer.json()) == (503, {"detail": "component 'aioredis' is unavailable"})
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("/socket", headers={"X-Kind": "gone"}),
        ):
            pass
        assert closed.value.code == 1013


def test_authenticators_are_asked_in_order_and_once(odd: Project) -> None:
    odd.plugin(
        "many.py",
        """
        from opa import Requires, get_router
        router = get_router(dependencies=[Requires("a"), Requires("b")])
        @router.get("/many", dependencies=[Requires("c"), Requires()])
        def many(): pass
        """,
    )
    odd.settings(ACCESS={"/many": "d"})
    with odd.client() as client:
        assert client.get("/many").status_code == 200
    assert sys.modules["odd"].calls == ["first", "second"]


MANAGER: Any = SimpleNamespace(kept={})
"""Of an application of which only what it counts is needed."""


def test_several_that_ask_at_once_wait_for_one_answer() -> None:
    calls = []

    async def slow(_connection: Any) -> Actor:
        calls.append(1)
        await asyncio.sleep(0)
        return Actor("slow", "test")

    async def main() -> None:
        asked = Asked()
        found = await asyncio.gather(*(asked.ask(HTTPConnection({"type": "http"}), {"slow": slow}) for _ in range(5)))
        assert found == [Actor("slow", "test")] * 5

    with belonging_to(MANAGER):
        asyncio.run(main())
    assert calls == [1]


def test_a_caller_gets_an_answer_after_another_one_was_cancelled() -> None:
    """As where an authenticator hangs until its request is ended."""

    async def main() -> None:
        began, calls = asyncio.Event(), []

        async def hanging(_connection: Any) -> Actor:
            calls.append(1)
            if len(calls) == 1:
                began.set()
                await asyncio.Event().wait()
            return Actor("second", "test")

        asked, connection = Asked(), HTTPConnection({"type": "http"})
        first = asyncio.create_task(asked.ask(connection, {"hanging": hanging}))
        await began.wait()
        second = asyncio.create_task(asked.ask(connection, {"hanging": hanging}))
        first.cancel()
        assert await second == Actor("second", "test")

    with belonging_to(MANAGER):
        asyncio.run(main())


def test_a_browser_is_sent_to_the_page_where_a_person_signs_in(project: Project) -> None:
    project.plugin("badges.py", BADGES)
    project.plugin(
        "pages.py",
        """
        from opa import register

        @register("authenticators")
        class Pages:
            def sign_in_url(self, connection):
                return f"/sign-in?next={connection.url.path}\\r\\nX-Planted: 1"

            async def __call__(self, connection):
                return None
        """,
    )
    project.plugin("shop.py", SHOP)
    project.settings(ACCESS={"/docs": "admin"})
    page = {"Accept": "text/html,*/*"}
    with project.client(follow_redirects=False) as client:
        for path in ("/known", "/docs"):
            answer = client.get(path, headers=page)
            assert (answer.status_code, "x-planted" in answer.headers) == (303, False)
            assert answer.headers["location"] == f"/sign-in?next={path}%0D%0AX-Planted:%201"
            assert client.get(path).status_code == 401
        assert client.post("/docs", headers=page).status_code == 401
        assert client.get("/route", headers={**page, "X-Badge": "ben"}).status_code == 403


def test_an_authenticator_gets_no_body_and_no_scope_that_it_could_spoil(odd: Project) -> None:
    odd.plugin(
        "eager.py",
        """
        from opa import register

        @register("authenticators", uri="a")
        async def eager(connection):
            assert not hasattr(connection, "body")
        """,
    )
    with odd.client() as client:
        assert client.get("/known").json() == "second"


def test_all_challenges_are_told_in_a_header_each(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.plugin(
        "several.py",
        """
        from opa import register

        class One:
            def __init__(self, challenge): self.challenge = challenge
            async def __call__(self, connection): return None

        for name in ("Bearer", "Basic realm=x", "Bearer"):
            register("authenticators", uri=f"several.{name}{id(name)}")(One(name))
        """,
    )
    with project.client() as client:
        assert client.get("/known").headers.get_list("www-authenticate") == ["Bearer", "Basic realm=x"]

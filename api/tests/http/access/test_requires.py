"""Routes that require an actor."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import WebSocketDenialResponse

from opa import OpaError, Requires
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
def test_what_can_be_no_scope_is_refused_where_it_stands(scope: Any) -> None:
    with pytest.raises(OpaError, match="names no scope"):
        Requires(scope)

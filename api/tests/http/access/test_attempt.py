"""Too many wrong credentials are answered 429, and what else they change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from loguru import logger
from starlette.testclient import TestClient, WebSocketDenialResponse

from opa import RefusedCredentialError, credential_counts
from opa.access.authenticators import authenticators, kind_of_credential
from opa.core.running import running_manager
from opa.plugins.access_keys.tokens import new_id, new_token
from tests.http.access.badges import BADGES, RIGHT
from tests.plugins.access_keys.test_commands import created
from tests.plugins.access_sessions.people import use_sessions
from tests.project import Project
from tests.servers import Server

SHOP = """
    import asyncio
    from typing import Annotated

    from fastapi import HTTPException, WebSocket
    from starlette.requests import Request
    from opa import Actor, RefusedCredentialError, Requires, attempt, get_router

    router = get_router()

    @router.get("/closed")
    async def closed(actor: Annotated[Actor, Requires()]):
        return actor.id

    @router.get("/open")
    async def is_open():
        return "open"

    @router.websocket("/talk")
    async def talk(websocket: WebSocket, actor: Annotated[Actor, Requires()]):
        await websocket.accept()

    @router.get("/sign-in")
    async def sign_in(request: Request, name: str, password: str):
        async with attempt(request, name):
            if password == "gone":
                raise HTTPException(503)
            if password != "right":
                raise RefusedCredentialError("a wrong password")
        return name

    @router.get("/code")
    async def code(request: Request, code: str):
        async with attempt(request, code, can_be_guessed=False):
            if code == "slow":
                await asyncio.sleep(0.05)
            if code != "slow":
                raise RefusedCredentialError("a wrong code", is_guess=code != "used")
        return code
"""
WRONG = {"X-Badge": "wrong"}


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("badges.py", BADGES)
    project.plugin("shop.py", SHOP)
    project.settings(WRONG_ATTEMPTS_PER_ADDRESS=4, WRONG_ATTEMPTS_PER_KEY=2)
    return project


@pytest.fixture
def lines() -> Any:
    found: list[str] = []
    number = logger.add(lambda message: found.append(message.record["message"]), level="WARNING")
    yield found
    logger.remove(number)


def statuses(client: TestClient, headers: dict[str, str], count: int) -> list[int]:
    return [client.get("/closed", headers=headers).status_code for _ in range(count)]


def at(client: TestClient, host: str) -> TestClient:
    """The same application, for a client of another address."""
    return TestClient(client.app, client=(host, 1))


def test_after_so_many_wrong_ones_the_answer_is_429_with_the_time_to_wait(shop: Project) -> None:
    with shop.client() as client:
        assert statuses(client, WRONG, 6) == [401] * 4 + [429] * 2
        answer = client.get("/closed", headers=WRONG)
        assert (answer.status_code, answer.json()) == (429, {"detail": "too many wrong credentials"})
        assert 1 <= int(answer.headers["Retry-After"]) <= 10


def test_right_ones_in_between_pass_and_count_nothing(shop: Project) -> None:
    with shop.client() as client:
        assert [*statuses(client, WRONG, 3), *statuses(client, RIGHT, 50)] == [401] * 3 + [200] * 50
        assert statuses(client, WRONG, 2) == [401, 429]


def test_another_address_is_not_held_up_and_from_the_same_one_nothing_tells_a_right_one(shop: Project) -> None:
    with shop.client(client=("192.0.2.1", 1)) as client:
        statuses(client, WRONG, 5)
        assert statuses(client, RIGHT, 1) == [429]
        assert statuses(at(client, "192.0.2.2"), RIGHT, 1) == [200]
        assert statuses(client, {}, 1) == [401]
        for path in ("/open", "/healthz", "/readyz"):
            assert client.get(path, headers=WRONG).status_code == 200


def test_of_ipv6_a_network_counts_as_one(shop: Project) -> None:
    with shop.client(client=("2001:db8::1", 1)) as client:
        statuses(client, WRONG, 4)
        assert statuses(at(client, "2001:db8::2"), WRONG, 1) == [429]
        assert statuses(at(client, "2001:db8:0:1::2"), WRONG, 1) == [401]


def test_a_websocket_is_refused_in_the_same_way(shop: Project) -> None:
    with shop.client() as client:
        statuses(client, WRONG, 4)
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/talk", headers=WRONG):
            pass
        assert caught.value.status_code == 429


def test_one_line_a_minute_for_an_address_has_how_many(shop: Project, lines: list[str]) -> None:
    with shop.client(client=("192.0.2.77", 1)) as client:
        statuses(client, WRONG, 6)
    found = [line for line in lines if "192.0.2.77" in line]
    assert len(found) == 1
    assert found[0].startswith("refused: wrong credentials from 192.0.2.77, the last: authenticator 'badges.Badges'")


def keys_in(project: Project, url: str) -> str:
    project.component("AIOREDIS", "redis-aioredis", URL=url)
    project.settings(PROJECT_ID=uuid4().hex, PLUGINS={})
    return created("bot", "--expires", "1d").stdout.strip()


def test_nothing_tells_whether_there_is_a_key(shop: Project, redis_url: str) -> None:
    token = keys_in(shop, redis_url)
    unknown = new_token(new_id())
    with_wrong_secret = new_token(created("other", "--expires", "1d").stdout[4:16])
    with shop.client(client=("192.0.2.1", 1)) as client:
        answers = [client.get("/closed", headers={"X-API-Key": unknown}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
        # A program with an old key does not hold up the others behind its address.
        assert statuses(client, {"X-API-Key": token}, 5) == [200] * 5
        assert statuses(client, {"X-API-Key": with_wrong_secret}, 3) == [401, 401, 429]
        assert statuses(client, {"X-API-Key": "opa_malformed"}, 2) == [401, 401]
        assert statuses(client, {"X-API-Key": "opa_malformed"}, 1) == [429]


def test_while_redis_is_gone_it_counts_in_the_process(shop: Project, start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    shop.component("AIOREDIS", "redis-aioredis", URL=server.url)
    with shop.client(client=("192.0.2.1", 1)) as client:
        assert statuses(client, WRONG, 2) == [401] * 2
        server.kill()
        assert statuses(client, WRONG, 5) == [401] * 4 + [429]
        assert statuses(at(client, "192.0.2.2"), RIGHT, 1) == [200]


def test_a_sign_in_that_has_to_wait_is_not_looked_at(shop: Project) -> None:
    def sign_in(client: TestClient, name: str, password: str) -> int:
        try:
            return client.get("/sign-in", params={"name": name, "password": password}).status_code
        except Exception as error:
            if "a wrong password" not in str(error):
                raise
            return 401

    with shop.client(client=("192.0.2.1", 1)) as client:
        assert [sign_in(client, "anna", "right") for _ in range(10)] == [200] * 10
        assert [sign_in(client, "anna", "gone") for _ in range(10)] == [503] * 10
        assert [sign_in(client, "anna", "wrong") for _ in range(2)] == [401, 401]
        assert sign_in(client, "anna", "right") == 429
        assert sign_in(client, "ben", "right") == 200
        assert sign_in(at(client, "192.0.2.2"), "anna", "right") == 200


def test_credentials_are_counted_by_kind_and_outcome(shop: Project, redis_url: str) -> None:
    shop.plugin(
        "gone.py",
        """
        from opa import ComponentUnavailableError, RefusedCredentialError, register

        @register("authenticators", uri="gone.Gone")
        async def gone(connection):
            if "X-Old" in connection.headers:
                raise RefusedCredentialError("an old one", is_guess=False)
            if "X-Gone" in connection.headers:
                raise ComponentUnavailableError("gone", component="x")
        """,
    )
    token = keys_in(shop, redis_url)
    with shop.client() as client:
        headers: list[dict[str, str]] = [
            *[{"X-API-Key": token}] * 3,
            *[{"X-API-Key": new_token(new_id())}] * 2,
            {"X-Old": "1"},
            {"X-Gone": "1"},
            {},
            *[WRONG] * 4,
        ]
        for each in headers:
            client.get("/closed", headers=each)
        with contextlib.suppress(RefusedCredentialError):
            client.get("/sign-in", params={"name": "anna", "password": "wrong"})
        counts = {name: count for name, count in credential_counts().items() if count}
        assert counts == {
            ("key", "right"): 3,
            ("key", "wrong"): 2,
            ("gone.Gone", "over"): 1,
            ("gone.Gone", "unavailable"): 1,
            ("badges.Badges", "wrong"): 3,
            ("badges.Badges", "waiting"): 1,
            ("password", "waiting"): 1,
        }


def test_the_kinds_of_actors_and_of_their_authenticators_are_the_same(project: Project, redis_url: str) -> None:
    use_sessions(project, redis_url, JWT_ISSUERS=[{"issuer": "us", "audience": "shop", "secret": "x" * 32}])
    with project.client():
        members = authenticators(running_manager().groups)
        kinds = {kind_of_credential(uri, member) for uri, member in members.items()}
    assert kinds == {"key", "jwt", "session"}


def test_right_credentials_at_the_same_time_hold_up_nobody(shop: Project) -> None:
    """Many who are right at the same time hold up nobody."""

    async def at_once(app: Any) -> list[int]:
        transport = httpx2.ASGITransport(app, client=("192.0.2.9", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answers = await asyncio.gather(*(client.get("/code?code=slow") for _ in range(20)))
        return [answer.status_code for answer in answers]

    with shop.client(raise_server_exceptions=False) as client:
        assert client.portal is not None
        assert set(client.portal.call(at_once, client.app)) == {200}
        for code in ["used"] * 10 + ["a", "b", "c", "d"]:
            assert client.get(f"/code?code={code}").status_code == 500
        assert client.get("/code?code=e").status_code == 429
        assert client.get("/code?code=slow").status_code == 429

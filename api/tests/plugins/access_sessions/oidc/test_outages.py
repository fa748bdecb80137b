"""A provider that does not answer, or not as it should, is told in time, and disturbs nobody else."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from tests.oidc_provider import CLIENT_SECRET, WELL_KNOWN, OidcProvider, settings_of
from tests.plugins.access_sessions.oidc.test_routes import START, leave, problem_in, sign_in_with
from tests.plugins.access_sessions.people import COOKIE, HOST, USERS, browser, sign_in
from tests.project import Project
from tests.servers import Server, wait_until

GONE = "Acme &amp; Sons cannot be asked at this moment. Try again later."

Answer = Callable[[Request], Any]


def answering(response: Callable[[], Response]) -> Answer:
    async def answer(_: Request) -> Response:
        return response()

    return answer


async def forever(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536
            await asyncio.sleep(0)

    return StreamingResponse(parts())


async def slow(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(parts())


async def silent(request: Request) -> Response:
    while not await request.is_disconnected():
        await asyncio.sleep(0.05)
    return Response()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once it is called, a provider has half a second to answer."""

    def set_timeouts() -> None:
        monkeypatch.setattr("opa.jwt.jwks.TIMEOUT", 0.5)
        monkeypatch.setattr(sys.modules["opa.plugins.access_sessions.oidc.exchange"], "TIMEOUT", 0.5)

    return set_timeouts


DOCUMENTS: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example"},
    "no issuer": {"issuer": None},
    "sign in over http": {"authorization_endpoint": "http://login.example.com/authorize"},
    "sign in by a script": {"authorization_endpoint": "javascript:alert(1)"},
    "sign in with a fragment": {"authorization_endpoint": "https://login.example.com/#a"},
    "sign in with a line": {"authorization_endpoint": "https://login.example.com/\r\nX: y"},
    "exchange over http": {"token_endpoint": "http://login.example.com/token"},
    "exchange in a file": {"token_endpoint": "file:///etc/passwd"},
    "no exchange": {"token_endpoint": None},
    "keys over http": {"jwks_uri": "http://login.example.com/jwks"},
    "no keys": {"jwks_uri": None},
}


def test_a_provider_that_says_what_cannot_be_is_not_used(
    shop: Project, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("opa.jwt.jwks.monotonic", lambda: now)
    with browser(shop) as client:
        for name, document in DOCUMENTS.items():
            provider.document = document
            answer = client.get(START, params={"next": "/orders"})
            assert (answer.status_code, problem_in(answer), answer.headers["retry-after"]) == (503, GONE, "2"), name
            assert 'href="/sign-in/acme?next=%2Forders"' in answer.text
            now += 5
        provider.document = {}
        assert client.get(START).status_code == 303
    assert f"{provider.url}{WELL_KNOWN} is of another issuer" in "".join(capsys.readouterr())


def test_a_provider_that_is_gone_disturbs_no_other_sign_in(shop: Project, provider: OidcProvider) -> None:
    gone = settings_of(provider, ISSUER="http://127.0.0.1:1")
    shop.settings(USERS=USERS, OIDC_PROVIDERS={"gone": gone, "acme": settings_of(provider)})
    with browser(shop) as client:
        assert client.get("/sign-in/gone").status_code == 503
        assert "Sign in with gone" in client.get("/sign-in").text
        assert sign_in(client).status_code == 303
        assert sign_in_with(client).status_code == 303


TOKEN_ANSWERS: dict[str, tuple[Answer, str]] = {
    "broken": (answering(lambda: JSONResponse({}, 500)), "answers 500"),
    "redirecting": (answering(lambda: RedirectResponse("/token", 307)), "answers 307"),
    "no JSON": (answering(lambda: Response("<html>")), "something else than JSON"),
    "a list": (answering(lambda: JSONResponse([])), "it answers without an id_token"),
    "no token": (answering(lambda: JSONResponse({"access_token": "a"})), "it answers without an id_token"),
    "huge": (answering(lambda: Response(b" " * 1_100_000)), "more than 1048576 bytes"),
    "without end": (forever, "more than 1048576 bytes"),
    "another error": (answering(lambda: JSONResponse({"error": ["a"]}, 400)), "it answers 400 to a code"),
}


def test_a_provider_that_exchanges_no_code_is_told_within_a_bound(
    shop: Project, provider: OidcProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    with browser(shop) as client:
        for name, (answer, _) in TOKEN_ANSWERS.items():
            provider.answers["/token"] = answer
            found = sign_in_with(client)
            assert (found.status_code, problem_in(found), found.headers["retry-after"]) == (503, GONE, "2"), name
        provider.answers.clear()
        assert sign_in_with(client).status_code == 303
    output = "".join(capsys.readouterr())
    for name, (_, reason) in TOKEN_ANSWERS.items():
        assert reason in output, name


@pytest.mark.parametrize("answer", [silent, slow])
def test_a_provider_that_is_slow_is_broken_off(
    shop: Project, provider: OidcProvider, hasty: Callable[[], None], answer: Answer
) -> None:
    with browser(shop) as client:
        back = leave(client)
        hasty()
        provider.answers["/token"] = answer
        assert client.get(back).status_code == 503


@pytest.mark.parametrize("answer", [silent, slow])
def test_a_provider_that_says_nothing_of_itself_is_broken_off(
    shop: Project, provider: OidcProvider, hasty: Callable[[], None], answer: Answer
) -> None:
    with browser(shop) as client:
        hasty()
        provider.answers[WELL_KNOWN] = answer
        assert client.get(START).status_code == 503


def test_a_secret_that_is_not_the_registered_one_is_said_in_the_log_alone(
    shop: Project, provider: OidcProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.settings(
        OIDC_PROVIDERS={"acme": settings_of(provider, CLIENT_SECRET="another-planted-one", LABEL="Acme & Sons")}
    )
    with browser(shop) as client:
        answer = sign_in_with(client)
        assert (answer.status_code, problem_in(answer)) == (503, GONE)
    output = "".join(capsys.readouterr())
    assert (
        "it answers invalid_client: CLIENT_ID, CLIENT_SECRET or REDIRECT_URL are not as they are registered" in output
    )
    assert "another-planted-one" not in output
    assert CLIENT_SECRET not in output


@pytest.mark.parametrize(
    ("methods", "is_basic"),
    [(None, True), (["client_secret_post", "client_secret_basic"], True), (["client_secret_post"], False)],
)
def test_the_secret_is_sent_as_the_provider_takes_it(
    shop: Project, provider: OidcProvider, methods: list[str] | None, is_basic: bool
) -> None:
    provider.document = {"token_endpoint_auth_methods_supported": methods}
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303
    assert ("client_secret" not in provider.forms[0]) is is_basic


def test_an_authorization_endpoint_may_have_a_query(shop: Project, provider: OidcProvider) -> None:
    provider.document = {"authorization_endpoint": f"{provider.url}/authorize?policy=one"}
    with browser(shop) as client:
        assert "/authorize?policy=one&response_type=code&" in client.get(START).headers["location"]
        assert sign_in_with(client).status_code == 303


def test_200_people_sign_in_at_once(shop: Project, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    async def all_of_them(app: Any) -> list[tuple[int, str | None]]:
        transport = httpx2.ASGITransport(app)
        limits = httpx2.Limits(max_connections=20)

        async def one() -> tuple[int, str | None]:
            async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
                away = await client.get(START)
                back = await acme.get(away.headers["location"])
                answer = await client.get(back.headers["location"])
                return answer.status_code, client.cookies.get(COOKIE)

        async with httpx2.AsyncClient(limits=limits, timeout=240) as acme:
            return await asyncio.gather(*(one() for _ in range(200)))

    with browser(shop) as client:
        monkeypatch.setattr(sys.modules["opa.plugins.access_sessions.oidc.exchange"], "TIMEOUT", 240)
        assert client.portal is not None
        found = client.portal.call(all_of_them, client.app)
    assert {status for status, _ in found} == {303}
    assert len({session for _, session in found}) == 200
    assert provider.requests.count("/jwks") == 1


def test_nobody_signs_in_with_a_provider_while_redis_is_gone(
    shop: Project, provider: OidcProvider, start_redis: Callable[[], Server]
) -> None:
    redis = start_redis()
    shop.component("AIOREDIS", "redis-aioredis", URL=redis.url)
    with browser(shop) as client:
        back = leave(client)
        redis.stop()
        gone = client.get(back)
        assert (gone.status_code, COOKIE in client.cookies) == (503, False)
        assert client.get(START).status_code == 303
        assert provider.forms == []
        redis.start()
        assert wait_until(lambda: sign_in_with(client).status_code == 303)

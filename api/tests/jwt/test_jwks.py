"""When the keys of an issuer are fetched, and for how long they are used."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from joserfc.jwk import Key

from opa import ComponentUnavailableError, RefusedCredentialError
from opa.jwt.download import DownloadError
from opa.jwt.jwks import RemoteKeys
from opa.jwt.keys import published_keys
from tests.token_issuer import key, public

FIRST, SECOND = key(), key("RSA", 2048, 1)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer has its time also where the machine is busy."""
    monkeypatch.setattr("opa.jwt.jwks.TIMEOUT", 240)
    monkeypatch.setattr("opa.jwt.jwks.PATIENCE", 240)


class Source:
    """In place of the issuer: what is published, and how often it was asked for."""

    def __init__(self) -> None:
        self.published = [FIRST]
        self.fetches = 0
        self.is_away = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def fetch(self, deadline: float) -> Any:
        self.fetches += 1
        self.may_answer.wait(60)
        if self.is_away:
            raise DownloadError("it is away")
        return published_keys({"keys": [public(each) for each in self.published]}, "an issuer")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("opa.jwt.jwks.monotonic", clock)
    return clock


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def keys(source: Source, clock: Clock) -> Any:
    return RemoteKeys("an issuer", source.fetch, refresh=600, keep=86400)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def is_known(keys: Any, pair: Key) -> bool:
    try:
        found = await keys.find(pair.kid, "RS256")
    except RefusedCredentialError:
        return False
    return bool(found.kid == pair.kid)


def test_keys_are_fetched_when_they_are_needed_and_kept(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert source.fetches == 0
        for _ in range(3):
            assert await is_known(keys, FIRST)
            clock.now += 200
        assert source.fetches == 1
        clock.now += 1
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_200_tokens_with_unknown_keys_at_once_are_one_fetch(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        clock.now += 31
        source.may_answer.clear()
        waiting = [asyncio.create_task(keys.find(f"unknown {number}", "RS256")) for number in range(200)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert await is_known(keys, FIRST), "a known key waits for nobody"
        source.may_answer.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in found} == {RefusedCredentialError}
        for number in range(200):
            assert not await is_known(keys, key("EC", "P-256", number % 2)), number
        assert source.fetches == 2

    run(test)


def test_a_new_key_is_found_half_a_minute_after_an_attack_at_most(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = [FIRST, SECOND]
        clock.now += 29
        assert not await is_known(keys, SECOND)
        clock.now += 1
        assert await is_known(keys, SECOND)
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_a_key_that_is_withdrawn_is_not_used_once_more(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = [SECOND]
        clock.now += 600
        assert await is_known(keys, FIRST)
        clock.now += 1
        assert not await is_known(keys, FIRST)
        assert await is_known(keys, SECOND)

    run(test)


def test_an_issuer_that_withdraws_all_keys_has_none(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = []
        clock.now += 601
        assert not await is_known(keys, FIRST)

    run(test)


def test_the_last_keys_are_used_for_a_day_while_the_issuer_is_away(
    keys: Any, source: Source, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.is_away = True
        clock.now += 601
        assert await is_known(keys, FIRST)
        clock.now += 86398
        assert await is_known(keys, FIRST)
        clock.now += 2
        with pytest.raises(ComponentUnavailableError, match="the keys of the issuer an issuer cannot be had"):
            await keys.find(FIRST.kid, "RS256")
        source.is_away = False
        clock.now += 5
        assert await is_known(keys, FIRST)

    run(test)


def test_nobody_waits_for_an_issuer_that_has_just_not_answered(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.is_away = True
        clock.now += 601
        assert await is_known(keys, FIRST)
        source.may_answer.clear()
        clock.now += 30
        assert await is_known(keys, FIRST)
        source.is_away = False
        source.published = [SECOND]
        source.may_answer.set()
        assert await is_known(keys, SECOND), "it is waited for by whoever has no key"
        assert not await is_known(keys, FIRST)

    run(test)


def test_without_any_keys_the_issuer_is_asked_every_five_seconds(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        source.is_away = True
        for _ in range(10):
            with pytest.raises(ComponentUnavailableError):
                await keys.find(FIRST.kid, "RS256")
            clock.now += 1
        assert source.fetches == 2
        source.is_away = False
        assert await is_known(keys, FIRST)

    run(test)


def test_requests_do_not_pile_up_before_an_issuer_that_does_not_answer_again(
    keys: Any, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        source.is_away = True
        with pytest.raises(ComponentUnavailableError):
            await keys.find(FIRST.kid, "RS256")
        monkeypatch.setattr("opa.jwt.jwks.PATIENCE", 0.01)
        source.may_answer.clear()
        clock.now += 5
        for _ in range(3):
            with pytest.raises(ComponentUnavailableError):
                await keys.find(FIRST.kid, "RS256")
        monkeypatch.setattr("opa.jwt.jwks.PATIENCE", 240)
        source.is_away = False
        source.may_answer.set()
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_a_request_that_is_given_up_ends_the_fetch_for_no_other(keys: Any, source: Source) -> None:
    async def test() -> None:
        source.may_answer.clear()
        given_up, waiting = (asyncio.create_task(is_known(keys, FIRST)) for _ in range(2))
        while not source.fetches:
            await asyncio.sleep(0.001)
        given_up.cancel()
        await asyncio.wait([given_up])
        source.may_answer.set()
        assert await waiting
        assert source.fetches == 1

    run(test)


def test_a_fetch_of_an_event_loop_that_is_gone_is_begun_again(keys: Any, source: Source, clock: Clock) -> None:
    async def leave() -> None:
        source.may_answer.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.find(FIRST.kid, "RS256"), 0.01)

    run(leave)
    source.may_answer.set()
    clock.now += 5

    async def test() -> None:
        assert await is_known(keys, FIRST)

    run(test)

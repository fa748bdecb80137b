"""What code that uses a client for redis need not write itself."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError

from opa import ComponentUnavailableError
from opa.redis_clients import outages_of, text_of


@pytest.mark.parametrize("error", [RedisConnectionError("refused"), ReadOnlyError("a replica")])
def test_an_error_of_redis_says_which_component_is_gone_and_for_what(error: RedisError) -> None:
    told = r"'aioredis' does not answer about orders"
    with pytest.raises(ComponentUnavailableError, match=told) as raised, outages_of("aioredis", "orders"):
        raise error
    assert raised.value.component == "aioredis"
    assert raised.value.__cause__ is error


def test_an_error_of_the_code_itself_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), outages_of("aioredis", "orders"):
        raise ZeroDivisionError


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (b"a", "a"), (b"\xff", "\\xff")])
def test_a_text_is_one_however_the_client_gives_it(value: str | bytes, text: str) -> None:
    assert text_of(value) == text

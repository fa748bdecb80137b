from __future__ import annotations

from typing import Any

import pytest

from opa.tasks.passwords import with_password


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache/1", "redis://:p%40%2Fw@cache/1"),
        ("redis://:old@cache:6379/1", "redis://:p%40%2Fw@cache:6379/1"),
        ("pyamqp://shop@rabbitmq:5672//?a=b", "pyamqp://shop:p%40%2Fw@rabbitmq:5672//?a=b"),
        ("amqp://shop@one//;amqp://shop:old@two//", "amqp://shop:p%40%2Fw@one//;amqp://shop:p%40%2Fw@two//"),
        (["amqp://a@one", "amqp://b@two"], ["amqp://a:p%40%2Fw@one", "amqp://b:p%40%2Fw@two"]),
        ("", ""),
        (None, None),
    ],
)
def test_the_password_stands_in_each_url_in_the_place_of_its_own(url: Any, expected: Any) -> None:
    assert with_password(url, "p@/w", "BROKER_PASSWORD") == expected


@pytest.mark.parametrize("password", ["", None])
def test_without_a_password_the_url_stays_as_it_is(password: str | None) -> None:
    assert with_password("redis://:old@cache/1", password, "BROKER_PASSWORD") == "redis://:old@cache/1"


@pytest.mark.parametrize("url", ["memory://", "redis+socket:///run/redis.sock", "cache:6379"])
def test_a_url_without_a_host_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="BACKEND_PASSWORD is for a server, and its URL has no host") as caught:
        with_password(f"{url}?hunter2", "p", "BACKEND_PASSWORD")
    assert "hunter2" not in str(caught.value)

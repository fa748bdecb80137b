from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from opa.tasks.beat.lease import Lease
from tests.serve.process import wait_until

KEY, HASH = "test-lease:lock", "test-lease:values"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        client.delete(KEY, HASH)
        yield client


def test_a_lease_has_one_holder_and_others_learn_who(client: redis.Redis) -> None:
    first, second = Lease(client, KEY, 60), Lease(client, KEY, 60)
    assert first.hold()
    assert first.was_free
    assert not second.hold()
    assert second.holder == first.holder
    assert first.hold()
    assert not first.was_free


def test_released_it_is_free_at_once(client: redis.Redis) -> None:
    first, second = Lease(client, KEY, 60), Lease(client, KEY, 60)
    first.hold()
    second.release()
    assert not second.hold()
    first.release()
    assert second.hold()


def test_the_lease_expires_unless_it_is_renewed(client: redis.Redis) -> None:
    first, second = Lease(client, KEY, 0.5), Lease(client, KEY, 60)
    first.hold()
    wait_until(second.hold, seconds=30)
    assert second.was_free
    assert not first.hold()


def test_renewing_the_lease_prolongs_it(client: redis.Redis) -> None:
    lease = Lease(client, KEY, 60)
    lease.hold()
    client.pexpire(KEY, 1000)
    lease.hold()
    assert client.pttl(KEY) > 50_000


def test_only_the_holder_of_a_lease_writes(client: redis.Redis) -> None:
    first, second = Lease(client, KEY, 60), Lease(client, KEY, 60)
    first.hold()
    assert first.write(HASH, {"a": 1.5, "b": "text"})
    assert not second.write(HASH, {"a": 2})
    assert client.hgetall(HASH) == {b"a": b"1.5", b"b": b"text"}
    client.delete(KEY)
    assert not first.write(HASH, {"a": 3})

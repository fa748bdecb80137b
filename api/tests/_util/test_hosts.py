from __future__ import annotations

import socket
import threading

import pytest

from opa._util.hosts import hosts_in_url, resolves
from opa.utils import filter_dict_to_function, host_exists, unique


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://redis", ("redis",)),
        ("redis://user:pa@ss@redis:6379/1", ("redis",)),
        ("mongodb://a:27017,b,[::1]:3/db?x=1", ("a", "b", "::1")),
        ("pyamqp://guest@rabbitmq//", ("rabbitmq",)),
        ("amqp://a;amqp://b:1", ("a", "b")),
        ("mongodb+srv://cluster.example.com/db", ()),
        ("unix:///tmp/redis.sock", ()),
        ("mongodb://%2Ftmp%2Fmongo.sock/db", ()),
        ("memory://", ()),
        ("", ()),
    ],
)
def test_all_hosts_of_a_url_are_found(url: str, hosts: tuple[str, ...]) -> None:
    assert hosts_in_url(url) == hosts


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@[", "redis://:hunter2\u2100@redis", "amqp://a;amqp://:hunter2[@b]:c"]
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="URL cannot be used") as caught:
        hosts_in_url(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("host", "answer"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("no.invalid", False)]
)
def test_resolves_tells_whether_the_system_knows_a_host(host: str, answer: bool) -> None:
    assert resolves(host, 2) is answer


def test_a_look_up_that_takes_longer_than_its_limit_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer cannot be had on loopback; the look-up itself is held up instead."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: release.wait())
    try:
        assert resolves("localhost", 0.05) is False
    finally:
        release.set()


def test_host_exists_takes_a_host_a_url_or_a_function() -> None:
    assert host_exists("localhost")
    assert not host_exists("no.invalid")
    assert host_exists("redis://localhost:1", "database-url")
    assert not host_exists("redis://no.invalid", "database-url")
    assert host_exists("x=localhost", lambda text: text.partition("=")[2])


def test_unique_keeps_the_first_of_each() -> None:
    assert unique([3, 1, 3, 2, 1]) == [3, 1, 2]


def test_filter_dict_to_function_gives_what_the_function_names() -> None:
    def function(a: int, b: int = 2) -> None: ...

    assert filter_dict_to_function({"a": 1, "c": 3}, function) == {"a": 1}
    with pytest.raises(KeyError):
        filter_dict_to_function({}, function)

"""Where a request comes from."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from opa.access.address import LONGEST, address_of, host_of


def from_(host: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "client": (host, 0), "headers": []})


@pytest.mark.parametrize("host", ["192.0.2.7", "a" * LONGEST])
def test_an_address_is_that_which_the_server_sees(host: str) -> None:
    assert host_of(from_(host)) == address_of(from_(host)) == host


@pytest.mark.parametrize("start", ["", "::1 "])
def test_an_address_from_a_proxy_is_cut_to_a_bounded_length(start: str) -> None:
    """It may be any text that a client has sent: redis and each process remember many, and the log has it."""
    first, second = (from_(start + "x" * 60_000 + end) for end in "ab")
    assert len(host_of(first)) <= LONGEST
    assert len(address_of(first)) <= LONGEST
    assert host_of(first) == host_of(first)
    assert host_of(first) != host_of(second)
    assert address_of(first) != address_of(second)


@pytest.mark.parametrize("host", ["\udcff", "\udcff" * 200, "a\nb", "::1\udcff"])
def test_an_address_that_redis_or_a_line_of_the_log_cannot_have_is_told_apart_all_the_same(host: str) -> None:
    found = host_of(from_(host))
    assert found.encode().isascii()
    assert found.isprintable()
    assert address_of(from_(host)).isascii()
    assert found != host_of(from_(f"{host}x"))

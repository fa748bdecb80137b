from __future__ import annotations

import pytest

from opa.redis_clients.urls import with_certificate_check


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://:p@h:6380/1", "rediss://:p@h:6380/1?ssl_cert_reqs=required"),
        ("rediss://h/1?a=b", "rediss://h/1?a=b&ssl_cert_reqs=required"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE&a=b", "rediss://h?ssl_cert_reqs=none&a=b"),
        ("rediss://h?ssl_cert_reqs=Optional", "rediss://h?ssl_cert_reqs=optional"),
        ("redis://h/1", "redis://h/1"),
        ("amqps://h", "amqps://h"),
    ],
)
def test_the_check_of_the_certificate_has_one_spelling(url: str, expected: str) -> None:
    assert with_certificate_check(url, is_needed=True) == expected


def test_a_url_that_needs_no_option_for_certificates_stays_as_it_is() -> None:
    assert with_certificate_check("rediss://h/1") == "rediss://h/1"


def test_an_unknown_check_is_refused_without_a_word_of_the_url() -> None:
    with pytest.raises(ValueError, match="ssl_cert_reqs=required") as caught:
        with_certificate_check("rediss://:hunter2@h?ssl_cert_reqs=perhaps")
    assert "hunter2" not in str(caught.value)

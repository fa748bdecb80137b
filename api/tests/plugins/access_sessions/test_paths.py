"""Where a browser may be sent back to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opa.plugins.access_sessions.paths import LONGEST, own_path

OWN = ["/", "/docs", "/docs?a=b&c=//d", "/a/b#/x", "/%C3%A9", "/a%20b", "/search?q=https://example.com", "/a:b@c"]
FOREIGN = [
    *("", "docs", "https://evil.example", "//evil.example", "///evil.example", "javascript:alert(1)", "data:,x"),
    *("/\\evil.example", "\\/evil.example", "\\\\evil.example", "/a\\b", "/%5Cevil.example", "/%5c/evil.example"),
    *(
        "/%2Fevil.example",
        "/%2f%2fevil.example",
        "/%252Fevil.example",
        "/%25252525252Fevil.example",
        "/x//evil.example",
    ),
    *("/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "/%09/evil.example", "/%0d%0aX: y", "/\x00"),
    *(" //evil.example", "/ /evil.example", "http:evil.example", "/é", "@evil.example", "/" + "a" * LONGEST),
    *("/.//evil.example", "/..//evil.example", "/%2e%2e//evil.example"),
]


@pytest.mark.parametrize("path", OWN)
def test_a_path_of_this_host_is_one(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize("path", FOREIGN)
def test_a_path_that_may_lead_to_another_host_is_refused(path: str) -> None:
    assert own_path(path) is None


@given(st.text(alphabet="/\\%25fFcC.:?#@aé \t\n", max_size=20))
def test_no_text_leads_to_another_host(text: str) -> None:
    from urllib.parse import urljoin, urlsplit

    if (path := own_path(text)) is not None:
        assert urlsplit(urljoin("https://ours.example/sign-in", path)).netloc == "ours.example"

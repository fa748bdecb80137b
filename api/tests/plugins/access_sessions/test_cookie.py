"""The cookie of a session, as browsers send it."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from opa.plugins.access_sessions.cookie import NAME, session_id_in

ID = "opas_" + "A" * 43


def session_in(*cookies: bytes) -> str | None:
    headers = [(b"host", b"shop.example"), *((b"cookie", cookie) for cookie in cookies)]
    scope = {"type": "http", "scheme": "https", "path": "/", "query_string": b"", "headers": headers}
    return session_id_in(HTTPConnection(scope))


@pytest.mark.parametrize("cookie", [f"{NAME}={ID}", f"a=b;{NAME}={ID};c", f"a; {NAME}={ID} ", f"\t{NAME} = {ID}"])
def test_it_is_found_among_others(cookie: str) -> None:
    assert session_in(cookie.encode()) == ID
    assert session_in(b"a=b", cookie.encode()) == ID


@pytest.mark.parametrize("blank", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1f"])
def test_one_whose_name_has_another_blank_is_not_ours(blank: bytes) -> None:
    """A browser takes it from any host of the site, since its name does not begin with `__Host-`."""
    pair = f"{NAME}={ID}".encode()
    assert session_in(b"a=b; " + blank + pair) is None
    assert session_in(pair, b"a=b; " + blank + pair) == ID

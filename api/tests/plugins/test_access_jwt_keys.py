"""When the keys of an issuer are fetched, which of them are used, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from opa import ComponentUnavailableError, RefusedCredentialError
from tests.plugins.test_access_jwt import asking, forget_jwt, issuer_settings, wait_long
from tests.token_issuer import JWKS, WELL_KNOWN, TokenIssuer, key, public, send, token_issuer

FIRST, SECOND = key(), key("RSA", 2048, 1)


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget_jwt()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_long(monkeypatch)


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as issuer:
        issuer.published = [public(FIRST)]
        yield issuer


def test_new_keys_of_an_issuer_take_the_place_of_its_old_ones(
    issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = asking(issuer_settings(issuer))
    before = f"Bearer {issuer.token(FIRST)}"
    assert ask(before) is not None

    issuer.published = [public(SECOND)]
    later = time.monotonic() + 31
    monkeypatch.setattr("opa.jwt.jwks.monotonic", lambda: later)
    assert ask(f"Bearer {issuer.token(SECOND)}") is not None
    with pytest.raises(RefusedCredentialError, match="no key"):
        ask(before)


def test_a_url_of_the_settings_is_asked_in_place_of_the_issuer(issuer: TokenIssuer) -> None:
    assert asking(issuer_settings(issuer, JWKS_URL=f"{issuer.url}{JWKS}"))(f"Bearer {issuer.token()}") is not None
    assert issuer.requests == [JWKS]


def text(content: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: send(request, content.encode())


def redirect(location: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: send(request, b"", 302, {"Location": location})


def forever(request: BaseHTTPRequestHandler) -> None:
    """More and more, without saying how much."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b" " * 65536)
    except OSError:
        return


def no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH\r\n")


def more_than_said(request: BaseHTTPRequestHandler) -> None:
    send(request, b'{"keys": [', headers={"Content-Length": "100000"})


UNUSABLE: list[tuple[str, str, Callable[[BaseHTTPRequestHandler], None], str]] = [
    ("gone", JWKS, lambda request: send(request, {}, 404), "answers 404"),
    ("broken", JWKS, lambda request: send(request, {"keys": []}, 500), "answers 500"),
    ("nothing", JWKS, lambda request: send(request, b"", 204), "answers 204"),
    ("a page", JWKS, text("<html>"), "something else than JSON"),
    ("cut", JWKS, text('{"keys": ['), "something else than JSON"),
    ("cut on the way", JWKS, more_than_said, "something else than JSON|IncompleteRead"),
    ("no UTF-8", JWKS, lambda request: send(request, b'{"keys": "\xff"}'), "something else than JSON"),
    ("nested", JWKS, text("[" * 100_000), "something else than JSON"),
    ("a list", JWKS, text("[]"), "is no JWKS: it has no list of keys"),
    ("no keys", JWKS, text("{}"), "is no JWKS: it has no list of keys"),
    ("keys that are a text", JWKS, text('{"keys": "RSA"}'), "is no JWKS: it has no list of keys"),
    ("too many keys", JWKS, text(f'{{"keys": [{", ".join(["{}"] * 101)}]}}'), "more than 100 keys"),
    ("huge", JWKS, text(f'{{"keys": [], "x": "{"x" * 1_100_000}"}}'), "more than 1048576 bytes"),
    ("without end", JWKS, forever, "more than 1048576 bytes"),
    ("another host", JWKS, redirect("http://localhost:1/jwks"), "redirects to another host"),
    ("another port", JWKS, redirect("http://127.0.0.1:1/jwks"), "redirects to another host"),
    ("another scheme", JWKS, redirect("file:///etc/passwd"), "redirects to another host"),
    ("no URL", JWKS, redirect("http://["), "redirects to what is no URL"),
    ("round and round", JWKS, redirect(JWKS), "redirects more than 3 times"),
    ("nowhere", JWKS, lambda request: send(request, b"", 302), "redirects more than 3 times"),
    ("no HTTP", JWKS, no_http, "cannot be had: BadStatusLine"),
    ("no answer", JWKS, lambda _: None, "cannot be had: RemoteDisconnected"),
    ("another issuer", WELL_KNOWN, text('{"issuer": "https://evil.example.com"}'), "is of another issuer"),
    ("no document", WELL_KNOWN, text("[]"), "is of another issuer"),
]


@pytest.mark.parametrize(
    ("path", "answer", "reason"), [pytest.param(path, answer, why, id=name) for name, path, answer, why in UNUSABLE]
)
def test_an_answer_without_keys_is_said_and_is_503(
    issuer: TokenIssuer,
    path: str,
    answer: Callable[[BaseHTTPRequestHandler], None],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    issuer.answers[path] = answer

    with pytest.raises(ComponentUnavailableError):
        asking(issuer_settings(issuer))(f"Bearer {issuer.token()}")
    log = capsys.readouterr().err
    assert re.search(reason, log), log
    assert "Its tokens are answered 503" in log


@pytest.mark.parametrize(
    "url",
    ["http://keys.example.com/jwks", "file:///etc/passwd", "ftp://127.0.0.1/jwks", "/jwks", "", 5, "http://[", None],
)
def test_an_issuer_cannot_send_us_anywhere(issuer: TokenIssuer, url: Any, capsys: pytest.CaptureFixture[str]) -> None:
    issuer.answers[WELL_KNOWN] = lambda request: send(request, {"issuer": issuer.url, "jwks_uri": url})

    with pytest.raises(ComponentUnavailableError):
        asking(issuer_settings(issuer))(f"Bearer {issuer.token()}")
    assert "names no https:// URL as jwks_uri" in capsys.readouterr().err


def test_a_redirect_on_the_same_host_is_followed(issuer: TokenIssuer) -> None:
    issuer.answers[JWKS] = redirect("/keys/now?a=b#c")
    issuer.answers["/keys/now?a=b"] = lambda request: send(request, {"keys": issuer.published})

    assert asking(issuer_settings(issuer))(f"Bearer {issuer.token()}") is not None

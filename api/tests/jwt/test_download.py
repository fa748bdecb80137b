"""What is downloaded is bounded in size and time, whoever answers."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from opa.jwt.download import DownloadError, get_json, post_form
from tests.certificates import self_signed
from tests.token_issuer import JWKS, TokenIssuer, send, token_issuer


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as issuer:
        yield issuer


def header_by_header(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    drip(request, b"X: x\r\n")


def letter_by_letter(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    drip(request, b" ")


def drip(request: BaseHTTPRequestHandler, part: bytes) -> None:
    try:
        while True:
            request.wfile.write(part)
            time.sleep(0.05)
    except OSError:
        return


def silent(request: BaseHTTPRequestHandler) -> None:
    request.connection.recv(1)  # until it is closed


@pytest.mark.parametrize("answer", [silent, header_by_header, letter_by_letter])
def test_an_issuer_that_is_slow_is_broken_off(
    issuer: TokenIssuer, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    issuer.answers[JWKS] = answer

    with pytest.raises(DownloadError, match="did not answer in time"):
        get_json(f"{issuer.url}{JWKS}", time.monotonic() + 0.5)


def test_an_address_where_nobody_is_cannot_be_had() -> None:
    with token_issuer() as gone:
        url = gone.url
    with pytest.raises(DownloadError, match="cannot be had: ConnectionRefusedError"):
        get_json(url, time.monotonic() + 5)
    with pytest.raises(DownloadError, match="did not answer in time"):
        get_json(url, time.monotonic())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate of localhost that nobody has signed, and its key."""
    return self_signed(tmp_path / "localhost.pem")


def test_the_certificate_of_an_issuer_is_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with token_issuer(context) as issuer:
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            get_json(f"{issuer.url}{JWKS}", time.monotonic() + 60)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert get_json(f"{issuer.url}{JWKS}", time.monotonic() + 60) == {"keys": []}
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            get_json(f"{issuer.url}{JWKS}".replace("localhost", "127.0.0.1"), time.monotonic() + 60)


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            send(self, b"", 403)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://anna:p%40ss@127.0.0.1:{proxy.server_port}")
        thread = threading.Thread(target=proxy.handle_request)
        thread.start()
        with pytest.raises(DownloadError, match="403"):
            get_json("https://login.example.com/jwks", time.monotonic() + 60)
        thread.join()

    assert asked == [("login.example.com:443", "Basic YW5uYTpwQHNz")]


def answer(status: int, body: Any, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: send(request, body, status, headers)


@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_form_is_sent_and_its_answer_has_a_status(issuer: TokenIssuer, status: int) -> None:
    issuer.answers["/token"] = answer(status, {"a": [1]})
    found = post_form(f"{issuer.url}/token", {"code": "a b+&=ä"}, time.monotonic() + 60, {"X-Mine": "1"})
    assert found == (status, {"a": [1]})
    assert issuer.forms == ["code=a+b%2B%26%3D%C3%A4"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(302, b"", Location="/elsewhere"), "answers 302"),
        (answer(307, b"", Location="/elsewhere"), "answers 307"),
        (answer(500, {}), "answers 500"),
        (answer(200, b"<html>"), "something else than JSON"),
        (answer(400, b""), "something else than JSON"),
        (answer(200, b" " * 1_100_000), "more than 1048576 bytes"),
    ],
)
def test_a_form_without_such_an_answer_is_not_sent_again(
    issuer: TokenIssuer, given: Callable[[BaseHTTPRequestHandler], None], reason: str
) -> None:
    issuer.answers["/token"] = given
    with pytest.raises(DownloadError, match=reason):
        post_form(f"{issuer.url}/token", {"code": "planted"}, time.monotonic() + 60, {})
    assert issuer.requests == ["/token"]


@pytest.mark.parametrize("slow", [silent, header_by_header, letter_by_letter])
def test_a_form_whose_answer_is_slow_is_broken_off(
    issuer: TokenIssuer, slow: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    issuer.answers["/token"] = slow
    with pytest.raises(DownloadError, match="did not answer in time"):
        post_form(f"{issuer.url}/token", {}, time.monotonic() + 0.5, {})


@pytest.mark.parametrize("password", ["hunter2/x", "[hunter2", "hunter2\u2100", "hunter2#"])
def test_the_url_of_a_proxy_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://anna:{password}@127.0.0.1:1")
    with pytest.raises(DownloadError, match="proxy in the environment variable HTTPS_PROXY cannot be used") as caught:
        get_json("https://login.example.com/jwks", time.monotonic() + 60)
    assert caught.value.__cause__ is None

"""What is posted arrives, or it is said why not, within a time, whatever the receiver does."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from opa import OpaError, WebhookAnswer, post_webhook
from opa.http.webhooks import posting
from tests.certificates import self_signed
from tests.http.webhooks.receiver import Receiver
from tests.serve.process import wait_until

HEADERS = {"Content-Type": "application/json", "X-Mine": "1"}


def post(url: str, body: bytes) -> WebhookAnswer:
    return asyncio.run(post_webhook(url, body, HEADERS))


def no_thread_is_left() -> bool:
    return not any(thread.name == "opa-webhook-post" for thread in threading.enumerate())


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.mark.parametrize("status", [200, 204, 299])
def test_what_is_posted_arrives_with_its_headers(receiver: Receiver, status: int) -> None:
    url = receiver.behave(f"/fine/{status}", status)
    answer = post(url.replace("http:", "HTTP:") if status == 299 else url, b'{"a": 1}')
    assert (answer.status, answer.problem, answer.retry_after) == (status, "", None)
    (received,) = receiver.at(f"/fine/{status}")
    assert received.body == b'{"a": 1}'
    assert received.headers["x-mine"] == "1"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    url = receiver.behave("/moved/sEcRet", 307, Location=f"{receiver.address}/elsewhere")
    answer = post(url, b"{}")
    assert (answer.status, answer.problem) == (307, "it has answered 307, a redirect, which is not followed")
    assert not [each for each in receiver.received if "elsewhere" in each.path]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("120", 120, 120),
        ("99999999999999", posting.LONGEST_WAIT, posting.LONGEST_WAIT),
        ("-1", None, None),
        ("soon", None, None),
        ("", None, None),
        ("in an hour", 1, 3600),
        ("an hour ago", 0, 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None, None),
    ],
)
def test_what_a_receiver_asks_to_wait_is_told(
    receiver: Receiver, text: str, least: float | None, most: float | None
) -> None:
    hours = {"in an hour": 1, "an hour ago": -1}
    if text in hours:
        text = format_datetime(datetime.now(UTC) + timedelta(hours=hours[text]), usegmt=True)
    answer = post(receiver.behave("/later", 503, Retry_After=text), b"{}")
    assert answer.status == 503
    if least is None or most is None:
        assert answer.retry_after is None
    else:
        assert answer.retry_after is not None
        assert least <= answer.retry_after <= most


@pytest.mark.parametrize("behaviour", ["endless", "trickle"])
def test_what_is_taken_is_taken_whatever_becomes_of_the_body(
    receiver: Receiver, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIME_LIMIT", 8)
    monkeypatch.setattr(posting, "BODY_LIMIT", 0.1)
    assert post(receiver.behave(f"/{behaviour}", behaviour), b"{}") == WebhookAnswer(200)


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_receiver_that_never_comes_to_an_end_is_given_up(
    receiver: Receiver, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIME_LIMIT", 0.5)
    answer = post(receiver.behave(f"/{behaviour}", behaviour), b"{}")
    assert answer == WebhookAnswer(None, "it has not answered within 0.5 s")
    # Nothing is left behind that a receiver can keep for as long as it likes, once for each try.
    wait_until(no_thread_is_left, seconds=8)


def test_why_nobody_answers_is_told_without_the_url() -> None:
    answer = post("http://127.0.0.1:1/sEcRet", b"{}")
    assert answer.status is None
    assert answer.problem.startswith("ConnectionRefusedError: ")
    for url in ("https://127.0.0.1:1/a b/sEcRet", "http://127.0.0.1:port/sEcRet", "http://[::1/sEcRet"):
        answer = post(url, b"{}")
        assert answer.status is None
        assert answer.problem
        assert "sEcRet" not in answer.problem


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "data:,x", "HTTP", ""])
def test_only_http_is_posted_to(url: str) -> None:
    with pytest.raises(OpaError, match="a URL with https:// or http://"):
        post(url, b"{}")


def test_a_certificate_is_verified_and_what_is_wrong_with_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "localhost.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(context) as receiver:
        port = receiver.address.rpartition(":")[2]
        answer = post(f"https://localhost:{port}/sEcRet", b"{}")
        assert answer == WebhookAnswer(None, "SSLCertVerificationError: self-signed certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post(f"https://localhost:{port}/sEcRet", b"{}").status == 200
        answer = post(f"https://127.0.0.1:{port}/sEcRet", b"{}")
        assert answer == WebhookAnswer(None, "SSLCertVerificationError: IP address mismatch")
        monkeypatch.setattr(posting, "TIME_LIMIT", 0.5)
        assert post(receiver.behave("/drip", "drip").replace("http://127.0.0.1", "https://localhost"), b"{}").problem
        wait_until(no_thread_is_left, seconds=8)

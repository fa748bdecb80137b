"""When the keys of an issuer are fetched, which of them are used, and for how long."""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies
from joserfc.jwk import Key

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


class Source:
    """In place of the issuer: what is published, and how often it was asked for."""

    def __init__(self) -> None:
        self.published = [FIRST]
        self.fetches = 0
        self.is_away = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def fetch(self, deadline: float) -> Any:
        from opa.plugins.access_jwt.download import DownloadError
        from opa.plugins.access_jwt.keys import published_keys

        self.fetches += 1
        self.may_answer.wait(60)
        if self.is_away:
            raise DownloadError("it is away")
        return published_keys({"keys": [public(each) for each in self.published]}, "an issuer")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("opa.plugins.access_jwt.jwks.monotonic", clock)
    return clock


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def keys(source: Source, clock: Clock) -> Any:
    from opa.plugins.access_jwt.jwks import RemoteKeys

    return RemoteKeys("an issuer", source.fetch, refresh=600, keep=86400)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def is_known(keys: Any, pair: Key) -> bool:
    try:
        found = await keys.find(pair.kid, "RS256")
    except RefusedCredentialError:
        return False
    return bool(found.kid == pair.kid)


def test_keys_are_fetched_when_they_are_needed_and_kept(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert source.fetches == 0
        for _ in range(3):
            assert await is_known(keys, FIRST)
            clock.now += 200
        assert source.fetches == 1
        clock.now += 1
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_200_tokens_with_unknown_keys_at_once_are_one_fetch(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        clock.now += 31
        source.may_answer.clear()
        waiting = [asyncio.create_task(keys.find(f"unknown {number}", "RS256")) for number in range(200)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert await is_known(keys, FIRST), "a known key waits for nobody"
        source.may_answer.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in found} == {RefusedCredentialError}
        for number in range(200):
            assert not await is_known(keys, key("EC", "P-256", number % 2)), number
        assert source.fetches == 2

    run(test)


def test_a_new_key_is_found_half_a_minute_after_an_attack_at_most(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = [FIRST, SECOND]
        clock.now += 29
        assert not await is_known(keys, SECOND)
        clock.now += 1
        assert await is_known(keys, SECOND)
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_a_key_that_is_withdrawn_is_not_used_once_more(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = [SECOND]
        clock.now += 600
        assert await is_known(keys, FIRST)
        clock.now += 1
        assert not await is_known(keys, FIRST)
        assert await is_known(keys, SECOND)

    run(test)


def test_an_issuer_that_withdraws_all_keys_has_none(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.published = []
        clock.now += 601
        assert not await is_known(keys, FIRST)

    run(test)


def test_the_last_keys_are_used_for_a_day_while_the_issuer_is_away(
    keys: Any, source: Source, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.is_away = True
        clock.now += 601
        assert await is_known(keys, FIRST)
        clock.now += 86398
        assert await is_known(keys, FIRST)
        clock.now += 2
        with pytest.raises(ComponentUnavailableError, match="the keys of the issuer an issuer cannot be had"):
            await keys.find(FIRST.kid, "RS256")
        source.is_away = False
        clock.now += 5
        assert await is_known(keys, FIRST)

    run(test)


def test_nobody_waits_for_an_issuer_that_has_just_not_answered(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        assert await is_known(keys, FIRST)
        source.is_away = True
        clock.now += 601
        assert await is_known(keys, FIRST)
        source.may_answer.clear()
        clock.now += 30
        assert await is_known(keys, FIRST)
        source.is_away = False
        source.published = [SECOND]
        source.may_answer.set()
        assert await is_known(keys, SECOND), "it is waited for by whoever has no key"
        assert not await is_known(keys, FIRST)

    run(test)


def test_without_any_keys_the_issuer_is_asked_every_five_seconds(keys: Any, source: Source, clock: Clock) -> None:
    async def test() -> None:
        source.is_away = True
        for _ in range(10):
            with pytest.raises(ComponentUnavailableError):
                await keys.find(FIRST.kid, "RS256")
            clock.now += 1
        assert source.fetches == 2
        source.is_away = False
        assert await is_known(keys, FIRST)

    run(test)


def test_requests_do_not_pile_up_before_an_issuer_that_does_not_answer_again(
    keys: Any, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        source.is_away = True
        with pytest.raises(ComponentUnavailableError):
            await keys.find(FIRST.kid, "RS256")
        monkeypatch.setattr("opa.plugins.access_jwt.jwks.PATIENCE", 0.01)
        source.may_answer.clear()
        clock.now += 5
        for _ in range(3):
            with pytest.raises(ComponentUnavailableError):
                await keys.find(FIRST.kid, "RS256")
        monkeypatch.setattr("opa.plugins.access_jwt.jwks.PATIENCE", 240)
        source.is_away = False
        source.may_answer.set()
        assert await is_known(keys, FIRST)
        assert source.fetches == 2

    run(test)


def test_a_request_that_is_given_up_ends_the_fetch_for_no_other(keys: Any, source: Source) -> None:
    async def test() -> None:
        source.may_answer.clear()
        given_up, waiting = (asyncio.create_task(is_known(keys, FIRST)) for _ in range(2))
        while not source.fetches:
            await asyncio.sleep(0.001)
        given_up.cancel()
        await asyncio.wait([given_up])
        source.may_answer.set()
        assert await waiting
        assert source.fetches == 1

    run(test)


def test_a_fetch_of_an_event_loop_that_is_gone_is_begun_again(keys: Any, source: Source, clock: Clock) -> None:
    async def leave() -> None:
        source.may_answer.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.find(FIRST.kid, "RS256"), 0.01)

    run(leave)
    source.may_answer.set()
    clock.now += 5

    async def test() -> None:
        assert await is_known(keys, FIRST)

    run(test)


def test_only_keys_that_are_safe_are_used(source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    from opa.plugins.access_jwt.keys import published_keys

    damaged = {**public(SECOND), "kid": "damaged", "n": "!" * 400}
    off_curve = {**public(key("EC", "P-256")), "kid": "off the curve", "y": public(key("EC", "P-256"))["x"]}
    found = published_keys(
        {
            "keys": [
                {**SECOND.as_dict(private=True), "kid": "private"},
                {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
                {**public(SECOND), "kid": "small", "n": str(public(SECOND)["n"])[:171]},
                {**public(SECOND), "kid": "large", "n": str(public(SECOND)["n"]) * 5},
                damaged,
                off_curve,
                {"kty": "RSA", "kid": "empty"},
                {"kid": "no kind"},
                {"kty": ["RSA"]},
                {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
                *("text", None, 5, [], {}),
                public(FIRST),
            ]
        },
        "an issuer",
    )

    assert [each.kid for each in found.keys] == [FIRST.kid]
    log = capsys.readouterr().err
    assert "its private part is published, so that anyone can sign with it" in log
    assert "it is a secret that is published" in log
    assert "it has fewer than 2048 bits, or more than 8192" in log


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as issuer:
        issuer.published = [public(FIRST)]
        yield issuer


def test_keys_rotate(issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = asking(issuer_settings(issuer))
    before = f"Bearer {issuer.token(FIRST)}"
    assert ask(before) is not None

    issuer.published = [public(SECOND)]
    later = time.monotonic() + 31
    monkeypatch.setattr("opa.plugins.access_jwt.jwks.monotonic", lambda: later)
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
    from opa.plugins.access_jwt.download import DownloadError, get_json

    issuer.answers[JWKS] = answer

    with pytest.raises(DownloadError, match="did not answer in time"):
        get_json(f"{issuer.url}{JWKS}", time.monotonic() + 0.5)


def test_an_address_where_nobody_is_cannot_be_had() -> None:
    from opa.plugins.access_jwt.download import DownloadError, get_json

    with token_issuer() as gone:
        url = gone.url
    with pytest.raises(DownloadError, match="cannot be had: ConnectionRefusedError"):
        get_json(url, time.monotonic() + 5)
    with pytest.raises(DownloadError, match="did not answer in time"):
        get_json(url, time.monotonic())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate of localhost that nobody has signed, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    pem = serialization.Encoding.PEM
    key_format = serialization.PrivateFormat.PKCS8
    file.write_bytes(private.private_bytes(pem, key_format, serialization.NoEncryption()) + signed.public_bytes(pem))
    return file


def test_the_certificate_of_an_issuer_is_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opa.plugins.access_jwt.download import DownloadError, get_json

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
    from opa.plugins.access_jwt.download import DownloadError, get_json

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


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.floats()
    | strategies.integers()
    | strategies.text(max_size=9),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.sampled_from(["keys", *public(FIRST)]) | strategies.text(), inner, max_size=6
        )
    ),
    max_leaves=12,
)
KEY = strategies.dictionaries(
    strategies.sampled_from(["kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "x5c", "x5u"]),
    strategies.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "AQAB", *map(str, public(FIRST).values())])
    | JSON,
)


@hypothesis.given(strategies.lists(KEY, max_size=3).map(lambda listed: {"keys": listed}) | JSON)
@hypothesis.settings(max_examples=50)
def test_whatever_is_published_is_keys_or_none(document: Any) -> None:
    from opa.plugins.access_jwt.keys import published_keys

    try:
        found = published_keys(document, "an issuer")
    except ValueError:
        return
    assert found.find("an id that no key has", "RS256") is None

"""Signatures of webhooks: the published examples of each scheme, and what is no signature."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks.webhooks
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import SecretStr
from starlette.testclient import TestClient

from opa import OpaError, Signed
from opa.http.webhooks import schemes

GITHUB = (
    "github",
    "It's a Secret to Everybody",
    b"Hello, World!",
    {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
    None,
)
SLACK = (
    "slack",
    "8f742231b10e8888abcd99yyyzzz85a5",
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
    b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
    b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
    b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    {
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "X-Slack-Request-Timestamp": "1531420618",
    },
    1531420618,
)
STANDARD = (
    "standard",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    b'{"test": 2432232314}',
    {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    1614265330,
)
PUBLISHED = pytest.mark.parametrize("example", [GITHUB, SLACK, STANDARD], ids=lambda example: example[0])
Example = tuple[str, str, bytes, dict[str, str], int | None]
BODY = b'{"paid": true}'


def app_with(scheme: str, **options: Any) -> TestClient:
    app = FastAPI()
    signed = Signed(scheme, **options)

    @app.post("/hook")
    def hook(body: bytes = signed) -> str:
        return hashlib.sha256(body).hexdigest()

    return TestClient(app)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the time that signatures are compared with."""

    def set_to(seconds: float) -> None:
        class Now(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(seconds, tz or UTC)

        monkeypatch.setattr("opa.http.webhooks.schemes.time", lambda: seconds)
        monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Now)

    return set_to


def in_bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """For values that are no ASCII."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def signed_hex(secret: str, message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), message, algorithm).hexdigest()


@PUBLISHED
def test_the_published_example_of_each_scheme_is_taken(example: Example, clock: Any) -> None:
    scheme, secret, body, headers, sent = example
    if sent is not None:
        clock(sent + 1)
    answer = app_with(scheme, secret=secret).post("/hook", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, hashlib.sha256(body).hexdigest())


@PUBLISHED
@pytest.mark.parametrize("change", ["body", "longer", "empty", "secret", "upper"])
def test_a_webhook_that_differs_by_a_byte_is_refused(example: Example, change: str, clock: Any) -> None:
    scheme, secret, body, headers, sent = example
    clock(sent or time.time())
    if change == "body":
        body = bytes([body[0] ^ 1, *body[1:]])
    elif change == "longer":
        body += b" "
    elif change == "empty":
        body = b""
    elif change == "secret":
        secret = secret[:-1] + ("x" if not secret.endswith("x") else "y")
    else:
        headers = {name: value.swapcase() for name, value in headers.items()}
    answer = app_with(scheme, secret=secret).post("/hook", content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"]


@PUBLISHED
def test_a_header_that_is_missing_empty_or_there_twice_is_refused(example: Example, clock: Any) -> None:
    scheme, secret, body, headers, sent = example
    clock(sent or time.time())
    client = app_with(scheme, secret=secret)
    for name in headers:
        rest = {other: value for other, value in headers.items() if other != name}
        assert client.post("/hook", content=body, headers=rest).status_code == 401
        assert client.post("/hook", content=body, headers={**rest, name: ""}).status_code == 401
        twice = [*headers.items(), (name, headers[name])]
        answer = client.post("/hook", content=body, headers=twice)
        assert (answer.status_code, answer.json()["detail"]) == (401, f"the header {name} is there more than once")


@pytest.mark.parametrize("example", [SLACK, STANDARD], ids=lambda example: example[0])
@pytest.mark.parametrize("later", [301, -301, 10**6])
def test_a_request_that_was_recorded_is_worth_nothing_later(example: Example, later: int, clock: Any) -> None:
    scheme, secret, body, headers, sent = example
    assert sent is not None
    clock(sent + later)
    assert app_with(scheme, secret=secret).post("/hook", content=body, headers=headers).status_code == 401


@pytest.mark.parametrize("sent", ["", "now", "1e9", "-5", "1" * 5000, "٣٣", "1614265330.5", "nan"])
@pytest.mark.parametrize("example", [SLACK, STANDARD], ids=lambda example: example[0])
def test_a_webhook_with_a_timestamp_that_is_no_time_is_refused(example: Example, sent: str) -> None:
    scheme, secret, body, headers, _ = example
    name = next(name for name in headers if "timestamp" in name.lower())
    changed = in_bytes({**headers, name: sent})
    assert app_with(scheme, secret=secret).post("/hook", content=body, headers=changed).status_code == 401


def stripe(body: bytes, secret: str, sent: int, *more: str) -> Mapping[str, str]:
    return {"Stripe-Signature": ",".join([f"t={sent}", *more, f"v1={signed_hex(secret, b'%d.' % sent + body)}"])}


def test_stripes_header_has_the_time_and_one_or_more_signatures() -> None:
    now = int(time.time())
    client = app_with("stripe", secret="whsec_test")
    assert client.post("/hook", content=BODY, headers=stripe(BODY, "whsec_test", now)).status_code == 200
    rolled = stripe(BODY, "whsec_test", now, "v1=" + "0" * 64, "v0=old")
    assert client.post("/hook", content=BODY, headers=rolled).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "t=1",
        "v1=aa",
        "t=1,t=2,v1=aa",
        ",,,",
        "=",
        "t=NOW,v1=",
        "t=NOW,v1=é",
        "t=NOW",
        "t=NOW" + ",v1=a" * 5000,
        "x" * 60_000,
    ],
)
def test_a_header_of_stripe_that_is_none_is_refused(header: str) -> None:
    value = header.replace("NOW", str(int(time.time())))
    answer = app_with("stripe", secret="whsec_test").post(
        "/hook", content=BODY, headers=in_bytes({"Stripe-Signature": value})
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("signature", ["v1", "v1,", "v1,!!!", "v2,AAAA", "v1,a,b", " ", "v1,AAAA " * 5000, "v1,é"])
def test_a_signature_of_standard_webhooks_that_is_none_is_refused(signature: str, clock: Any) -> None:
    scheme, secret, body, headers, sent = STANDARD
    clock(sent)
    changed = in_bytes({**headers, "webhook-signature": signature})
    assert app_with(scheme, secret=secret).post("/hook", content=body, headers=changed).status_code == 401
    answer = app_with(scheme, secret=secret).post("/hook", content=b"\xff", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, "the body is no UTF-8 text, as this scheme has it")


@pytest.mark.parametrize("algorithm", schemes.ALGORITHMS)
def test_a_header_of_ones_own_says_how_it_is_made(algorithm: str) -> None:
    client = app_with("X-Signature", secret="s3cret", algorithm=algorithm, encoding="base64", prefix="v1:")
    digest = base64.b64encode(hmac.new(b"s3cret", BODY, algorithm).digest()).decode()
    assert client.post("/hook", content=BODY, headers={"X-Signature": f"v1:{digest}"}).status_code == 200
    assert client.post("/hook", content=BODY, headers={"X-Signature": digest}).status_code == 401


def test_a_header_of_ones_own_may_have_the_time_beside_it() -> None:
    client = app_with("X-Signature", secret="s3cret", timestamp="X-Time", tolerance=60)
    now = int(time.time())
    for sent, status in ((now, 200), (now - 90, 401)):
        headers = {"X-Signature": signed_hex("s3cret", b"%d." % sent + BODY), "X-Time": str(sent)}
        assert client.post("/hook", content=BODY, headers=headers).status_code == status


def test_while_a_secret_is_exchanged_both_hold_and_a_function_gives_that_of_now() -> None:
    secrets = [SecretStr("new"), SecretStr("old")]
    client = app_with("github", secret=lambda: secrets)
    for secret in ("new", "old"):
        headers = {"X-Hub-Signature-256": f"sha256={signed_hex(secret, BODY)}"}
        assert client.post("/hook", content=BODY, headers=headers).status_code == 200
    secrets.pop()
    assert client.post("/hook", content=BODY, headers=headers).status_code == 401


@pytest.mark.parametrize("secret", ["", "  ", SecretStr(""), [], ["a", ""]])
def test_an_empty_secret_is_refused_where_it_stands(secret: Any) -> None:
    with pytest.raises(OpaError, match=r"the secret of Signed\('github'\) is empty"):
        Signed("github", secret=secret)


async def ask_for_it() -> str:
    return "s"


@functools.wraps(ask_for_it)
def ask_decorated() -> Any:
    return ask_for_it()


@pytest.mark.parametrize("secret", [None, 5, b"s", {"s": "t"}, [b"s"], [None], "\ud800", ask_for_it, ask_decorated])
def test_signed_refuses_a_value_that_can_be_no_secret(secret: Any) -> None:
    with pytest.raises(OpaError, match=r"the secret of Signed\('github'\) (is|has)"):
        Signed("github", secret=secret)


def test_secrets_may_come_from_a_generator() -> None:
    client = app_with("github", secret=(secret for secret in ("old", "new")))
    for _ in range(2):
        headers = {"X-Hub-Signature-256": f"sha256={signed_hex('new', BODY)}"}
        assert client.post("/hook", content=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), float("inf"), "300", None])
def test_a_tolerance_that_would_take_every_time_or_none_is_refused(tolerance: Any) -> None:
    with pytest.raises(OpaError, match="a number of seconds above 0"):
        Signed("stripe", secret="s", tolerance=tolerance)


@pytest.mark.parametrize("option", [{"timestamp": "X-Time"}, {"prefix": "q"}, {"algorithm": "sha1"}])
def test_a_scheme_with_a_name_takes_nothing_that_says_how_a_header_is_made(option: Any) -> None:
    with pytest.raises(OpaError, match="which this scheme does itself"):
        Signed("github", secret="s", **option)


def test_a_websocket_is_refused() -> None:
    app = FastAPI(dependencies=[Signed("github", secret="s")])

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    with pytest.raises(WebSocketDisconnect) as refused, TestClient(app).websocket_connect("/socket"):
        pass
    assert refused.value.code == 1008


def test_a_secret_that_cannot_be_one_of_standard_webhooks_is_refused_where_it_stands() -> None:
    with pytest.raises(OpaError, match="is not base64"):
        Signed("standard", secret="whsec_é")


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "githb"},
        {"scheme": "GitHub"},
        {"scheme": "X Signature"},
        {"scheme": "X-Sig", "timestamp": "X-Sig"},
        {"scheme": "X-Sig", "timestamp": "X Time"},
        {"scheme": "X-Sig", "algorithm": "md5"},
        {"scheme": "X-Sig", "encoding": "hexx"},
    ],
)
def test_a_scheme_that_is_none_is_refused_where_it_stands(options: dict[str, Any]) -> None:
    with pytest.raises(OpaError, match=r"Name (one|an algorithm) of"):
        Signed(secret="s", **options)


def test_the_document_says_which_header_has_the_signature() -> None:
    document = app_with("github", secret="s").get("/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["signed-github"]
    assert (scheme["in"], scheme["name"]) == ("header", "X-Hub-Signature-256")
    assert document["paths"]["/hook"]["post"]["security"] == [{"signed-github": []}]


def test_it_may_stand_before_all_routes_of_a_router() -> None:
    app = FastAPI(dependencies=[Signed("github", secret="s")])
    app.post("/hook")(lambda: "in")
    client = TestClient(app)
    assert client.post("/hook", content=BODY).status_code == 401
    headers = {"X-Hub-Signature-256": f"sha256={signed_hex('s', BODY)}"}
    assert client.post("/hook", content=BODY, headers=headers).json() == "in"


def test_the_body_of_a_request_without_a_signature_is_not_read() -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(True)
        yield BODY

    async def ask(headers: dict[str, str]) -> int:
        app = FastAPI()
        app.post("/hook", dependencies=[Signed("github", secret="s")])(lambda: 1)
        sent = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": await anext(aiter(body())), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/hook", "query_string": b"", "root_path": ""}
        await app({**scope, "headers": [(b"%s" % k.encode(), v.encode()) for k, v in headers.items()]}, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(ask({})) == 401
    assert read == []
    assert asyncio.run(ask({"x-hub-signature-256": f"sha256={signed_hex('s', BODY)}"})) == 200
    assert read == [True]


def test_a_large_body_is_verified_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    verify = schemes.HashOfBody.verify

    def noted(self: Any, *arguments: Any) -> None:
        threads.append(threading.current_thread().name)
        verify(self, *arguments)

    monkeypatch.setattr(schemes.HashOfBody, "verify", noted)
    client = app_with("github", secret="s")
    for size in (10, 1_000_000):
        body = b"x" * size
        headers = {"X-Hub-Signature-256": f"sha256={signed_hex('s', body)}"}
        assert client.post("/hook", content=body, headers=headers).status_code == 200
    assert ["worker" in name.lower() for name in threads] == [False, True]

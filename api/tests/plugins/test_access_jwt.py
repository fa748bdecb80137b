"""Which tokens make a caller known, and what the caller is then."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies
from joserfc.jwk import Key, RSAKey
from starlette.requests import HTTPConnection

import opa.plugins
from opa import Actor, OpaError, RefusedCredentialError
from opa.settings.jwt_issuers import JwtIssuer
from tests.json_values import json_values
from tests.project import Project
from tests.token_issuer import (
    AUDIENCE,
    TokenIssuer,
    key,
    public,
    segment,
    signed,
    signed_with_secret,
    token_issuer,
)

SECRET = "an example of a secret that is long enough for each of them: HS256, HS384 and HS512"


def forget_jwt() -> None:
    """An application imports the plugin with its own settings, and these tests import what is in it without one."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.access_jwt")]:
        del sys.modules[name]
    vars(opa.plugins).pop("access_jwt", None)


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget_jwt()


def wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer has its time also where the machine is busy."""
    monkeypatch.setattr("opa.jwt.jwks.TIMEOUT", 240)
    monkeypatch.setattr("opa.jwt.jwks.PATIENCE", 240)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_long(monkeypatch)


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as issuer:
        issuer.published = [
            public(key()),
            public(key("RSA", 3072), alg="PS256"),
            public(key("EC", "P-256")),
            public(key("EC", "P-384")),
            public(key("EC", "P-521")),
            public(key("OKP", "Ed25519"), use="sig"),
            public(key("EC", "P-256", 1), use="enc"),
            public(key("EC", "P-256", 2), key_ops=["sign"]),
            {"kty": "AKP", "kid": "of the future", "alg": "ML-DSA-65", "pub": "AAAA"},
        ]
        yield issuer


Ask = Callable[..., Actor | None]


@pytest.fixture(scope="module")
def authenticator(issuer: TokenIssuer) -> Any:
    return authenticator_of(issuer_settings(issuer))


@pytest.fixture(scope="module")
def ask(authenticator: Any) -> Ask:
    """Who is calling with a header."""
    return lambda *headers: asyncio.run(authenticator(connection(*headers)))


def issuer_settings(issuer: TokenIssuer, **settings: Any) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ENV", "dev")
        return JwtIssuer(**{"ISSUER": issuer.url, "AUDIENCE": AUDIENCE, **settings}).model_dump()


def authenticator_of(*issuers: dict[str, Any]) -> Any:
    from opa.plugins.access_jwt.authenticator import JwtAuthenticator

    return JwtAuthenticator.from_settings(issuers)


def asking(*issuers: dict[str, Any]) -> Ask:
    authenticator = authenticator_of(*issuers)

    return lambda *headers: asyncio.run(authenticator(connection(*headers)))


def connection(*headers: str) -> HTTPConnection:
    """A request with these headers Authorization."""
    raw = [(b"authorization", header.encode("latin-1")) for header in headers]
    return HTTPConnection({"type": "http", "headers": raw})


def test_a_token_says_who_is_calling_and_what_the_caller_may_do(issuer: TokenIssuer, ask: Ask) -> None:
    actor = ask(f"Bearer {issuer.token(scope='shop:read shop:write', email='anna@example.com')}")

    assert actor is not None
    assert actor.id == f"{issuer.url}|anna"
    assert actor.kind == "jwt"
    assert actor.scopes == {"shop:read", "shop:write"}
    assert actor.claims["email"] == "anna@example.com"


@pytest.mark.parametrize(
    ("pair", "algorithm"),
    [
        (key(), "RS256"),
        (key(), "PS512"),
        (key("RSA", 3072), "PS256"),
        (key("EC", "P-256"), "ES256"),
        (key("EC", "P-384"), "ES384"),
        (key("EC", "P-521"), "ES512"),
        (key("OKP", "Ed25519"), "Ed25519"),
        (key("OKP", "Ed25519"), "EdDSA"),
    ],
)
def test_a_token_is_good_with_each_algorithm(issuer: TokenIssuer, ask: Ask, pair: Key, algorithm: str) -> None:
    assert ask(f"Bearer {issuer.token(pair, algorithm)}") is not None


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        pytest.param({"typ": None}, {}, id="no typ"),
        pytest.param({"typ": "at+jwt"}, {}, id="an access token of RFC 9068"),
        pytest.param({"typ": "application/AT+JWT"}, {}, id="the same in full"),
        pytest.param({}, {"aud": ["https://other.example.com", AUDIENCE]}, id="several audiences"),
        pytest.param({}, {"exp": 0}, id="expired within the leeway"),
        pytest.param({}, {"nbf": 30, "iat": 30}, id="from a clock ahead"),
        pytest.param({}, {"iat": None}, id="no iat"),
        pytest.param({}, {"exp": 600.5}, id="a time with a fraction"),
        pytest.param({}, {"scope": None}, id="no scopes"),
        pytest.param({"x-own": 1, "cty": "JWT"}, {}, id="parameters that nobody knows"),
        pytest.param({}, {"a": json.loads("[" * 15 + "]" * 15)}, id="nested a little"),
    ],
)
def test_a_token_with_unusual_but_valid_fields_is_good(issuer: TokenIssuer, ask: Ask, header: Any, claims: Any) -> None:
    now = time.time()
    claims |= {name: now + claims[name] for name in claims.keys() & {"exp", "nbf", "iat"} if claims[name] is not None}
    assert ask(f"Bearer {issuer.token(header=header, **claims)}") is not None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_the_scheme_is_written_in_any_way(issuer: TokenIssuer, ask: Ask, scheme: str) -> None:
    assert ask(f"{scheme} {issuer.token()}") is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer opa_1234.5678.9012",
        "Bearer 1234",
        "Bearer a.b",
        "Bearer a.b.c.d.e",
        "Basic YTpi",
        "DPoP a.b.c",
    ],
)
def test_another_credential_is_left_to_others(ask: Ask, header: str) -> None:
    assert ask(header) is None


def test_two_tokens_in_one_request_count_as_none(issuer: TokenIssuer, ask: Ask) -> None:
    assert ask(f"Bearer {issuer.token()}", f"Bearer {issuer.token()}") is None


Refused = tuple[str, Callable[[TokenIssuer], str], str]


def _damaged(token: str, part: int, index: int = 10) -> str:
    parts = token.split(".")
    letter = "A" if parts[part][index] != "A" else "B"
    parts[part] = parts[part][:index] + letter + parts[part][index + 1 :]
    return ".".join(parts)


def _header(**fields: Any) -> dict[str, Any]:
    return {"alg": "RS256", "kid": key().kid, "typ": "JWT", **fields}


NOW = int(time.time())
ATTACKER = key("RSA", 2048, 1)
PEM = RSAKey.import_key(public(key())).as_pem()
REFUSED: list[Refused] = [
    ("no signature, by none", lambda i: f"{segment({'alg': 'none'})}.{segment(i.claims())}.", "is not signed"),
    ("none with a signature", lambda i: signed(_header(alg="none"), i.claims(), key()), "ALGORITHMS"),
    ("nOnE", lambda i: signed(_header(alg="nOnE"), i.claims(), key()), "ALGORITHMS"),
    ("HS256 with the public key", lambda i: signed_with_secret(_header(alg="HS256"), i.claims(), PEM), "ALGORITHMS"),
    (
        "HS256 with the modulus",
        lambda i: signed_with_secret(_header(alg="HS256"), i.claims(), str(public(key())["n"]).encode()),
        "ALGORITHMS",
    ),
    ("HS256 with nothing", lambda i: signed_with_secret(_header(alg="HS256"), i.claims(), b""), "ALGORITHMS"),
    ("no algorithm", lambda i: signed({"kid": key().kid}, i.claims(), key()), "not a text"),
    ("an algorithm that is a list", lambda i: signed(_header(alg=["RS256"]), i.claims(), key()), "not a text"),
    ("an algorithm of another kind of key", lambda i: signed(_header(alg="ES256"), i.claims(), key()), "no key"),
    ("an algorithm that the key is not for", lambda i: i.token(key("RSA", 3072), "RS256"), "no key"),
    ("a curve that the algorithm does not have", lambda i: i.token(key("EC", "P-384"), "ES256"), "no key"),
    ("a key to encrypt with", lambda i: i.token(key("EC", "P-256", 1), "ES256"), "no key"),
    ("a key that verifies nothing", lambda i: i.token(key("EC", "P-256", 2), "ES256"), "no key"),
    ("an unknown key", lambda i: i.token(ATTACKER), "no key"),
    ("the id of a key that another one signs for", lambda i: i.token(ATTACKER, header={"kid": key().kid}), "signature"),
    ("no id, where several keys fit", lambda i: i.token(key(), "PS256", header={"kid": None}), "no key"),
    ("an id that is a number", lambda i: i.token(header={"kid": 1}), "not a text"),
    ("an id that is a path", lambda i: i.token(header={"kid": "../../../../dev/null"}), "no key"),
    ("a key in it", lambda i: i.token(ATTACKER, header={"jwk": public(ATTACKER)}), "no key"),
    (
        "a key in it with a known id",
        lambda i: i.token(ATTACKER, header={"kid": key().kid, "jwk": public(ATTACKER)}),
        "signature",
    ),
    ("the URL of keys", lambda i: i.token(ATTACKER, header={"jku": f"{i.url}/evil"}), "no key"),
    ("the URL of a certificate", lambda i: i.token(ATTACKER, header={"x5u": f"{i.url}/evil"}), "no key"),
    ("a certificate", lambda i: i.token(ATTACKER, header={"x5c": ["MIIB"], "kid": key().kid}), "signature"),
    ("changed claims", lambda i: _damaged(i.token(), 1, -10), "signature|JSON"),
    ("a changed signature", lambda i: _damaged(i.token(), 2), "signature"),
    ("a signature that is cut", lambda i: i.token()[:-20], "signature"),
    ("the signature of another token", lambda i: i.token()[:-20] + i.token(sub="eve")[-20:], "signature"),
    ("bits behind the signature", lambda i: i.token()[:-1] + "B", "signature"),
    ("padding", lambda i: i.token() + "==", "not signed, or is no JWT"),
    ("letters of another base64", lambda i: "+/+/" + i.token(), "no JWT"),
    ("a null byte", lambda i: i.token()[:-1] + "\x00", "no JWT"),
    ("an extension", lambda i: i.token(header={"crit": ["exp"], "exp": NOW + 600}), "extension"),
    ("an extension that is no list", lambda i: i.token(header={"crit": 1}), "extension"),
    ("content that is not encoded", lambda i: i.token(header={"crit": ["b64"], "b64": False}), "extension"),
    ("another type", lambda i: i.token(header={"typ": "logout+jwt"}), "another type"),
    ("the type of a proof", lambda i: i.token(header={"typ": "dpop+jwt"}), "another type"),
    ("a type that is a number", lambda i: i.token(header={"typ": 1}), "another type"),
    ("a header that is a list", lambda i: signed(["alg"], i.claims(), key()), "not a JSON object"),
    ("a header that is not JSON", lambda i: signed("alg: RS256", i.claims(), key()), "not JSON"),
    ("claims that are a text", lambda _: signed(_header(), '"anna"', key()), "not a JSON object"),
    ("claims that are no JSON", lambda _: signed(_header(), "{", key()), "not JSON"),
    ("claims that are no UTF-8", lambda _: f"{segment(_header())}._w.AAAA", "not JSON"),
    ("a claim twice", lambda i: signed(_header(), f'{json.dumps(i.claims())[:-1]}, "sub": "eve"}}', key()), "twice"),
    ("a field twice", lambda i: signed(f'{json.dumps(_header())[:-1]}, "alg": "none"}}', i.claims(), key()), "twice"),
    ("NaN", lambda i: signed(_header(), i.claims(exp=float("nan")), key()), "not JSON"),
    ("no end", lambda i: signed(_header(), i.claims(exp=float("inf")), key()), "not JSON"),
    ("nested deeply", lambda i: i.token(a=json.loads("[" * 30 + "]" * 30)), "nested too deeply"),
    (
        "nested beyond reading",
        lambda i: signed(_header(), f'{{"a": {"[" * 2500}{"]" * 2500}}}', key()),
        "not JSON|too deeply",
    ),
    ("a number of 5,000 digits", lambda _: signed(_header(), f'{{"exp": {"9" * 5000}}}', key()), "not JSON"),
    ("more than 8 KB", lambda i: i.token(a="x" * 7000), "8192 bytes"),
    ("huge", lambda i: "a" * 60_000 + ".b.c", "8192 bytes"),
    ("another issuer", lambda i: i.token(iss="https://evil.example.com"), "not in JWT_ISSUERS"),
    ("the issuer with a slash", lambda i: i.token(iss=f"{i.url}/"), "not in JWT_ISSUERS"),
    ("no issuer", lambda i: i.token(iss=""), "not in JWT_ISSUERS"),
    ("an issuer that is a list", lambda i: i.token(iss=[i.url]), "not in JWT_ISSUERS"),
    ("another audience", lambda i: i.token(aud="https://other.example.com"), "audience"),
    ("an audience that begins like ours", lambda i: i.token(aud=f"{AUDIENCE}.evil.example"), "audience"),
    ("no audience", lambda i: i.token(aud=None), "audience"),
    ("no audience at all", lambda i: i.token(aud=[]), "audience"),
    ("an audience that is an object", lambda i: i.token(aud={AUDIENCE: True}), "aud is neither"),
    ("an audience with a number", lambda i: i.token(aud=[AUDIENCE, 1]), "aud is neither"),
    ("expired", lambda i: i.token(exp=NOW - 3600), "expired"),
    ("no expiry", lambda i: i.token(exp=None), "exp is missing"),
    ("an expiry that is a text", lambda i: i.token(exp=str(NOW + 600)), "exp is not a time"),
    ("an expiry that is true", lambda i: i.token(exp=True), "exp is not a time"),
    ("an expiry beyond time", lambda i: i.token(exp=10**300), "exp is not a time"),
    ("an expiry that is null", lambda i: signed(_header(), {**i.claims(), "exp": None}, key()), "exp is not a time"),
    ("not valid yet", lambda i: i.token(nbf=NOW + 3600), "not valid yet"),
    ("a beginning that is a list", lambda i: i.token(nbf=[NOW]), "nbf is not a time"),
    ("issued in the future", lambda i: i.token(iat=NOW + 3600), "in the future"),
    ("issued at a text", lambda i: i.token(iat="now"), "iat is not a time"),
    ("no subject", lambda i: i.token(sub=None), "sub is no"),
    ("an empty subject", lambda i: i.token(sub=""), "sub is no"),
    ("a subject that is a number", lambda i: i.token(sub=5), "sub is no"),
    ("a subject of two lines", lambda i: i.token(sub="anna\nbert"), "sub is no"),
    ("half a character as subject", lambda i: i.token(sub="\ud800"), "sub is no"),
    ("a long subject", lambda i: i.token(sub="a" * 256), "sub is no"),
    ("scopes that are a number", lambda i: i.token(scope=5), "scope is neither"),
    ("scopes that are objects", lambda i: i.token(scope=[{"name": "*"}]), "scope is neither"),
]


@pytest.mark.parametrize(("make", "reason"), [pytest.param(make, reason, id=name) for name, make, reason in REFUSED])
def test_a_token_is_refused_with(
    issuer: TokenIssuer, ask: Ask, make: Callable[[TokenIssuer], str], reason: str
) -> None:
    token = make(issuer)
    with pytest.raises(RefusedCredentialError, match=reason) as caught:
        ask(f"Bearer {token}")

    assert not any(part in str(caught.value) for part in token.split(".") if len(part) > 3)
    assert "/evil" not in issuer.requests


JSON = json_values()
FIELDS = strategies.dictionaries(
    strategies.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "jku"]), JSON
)
CLAIMS = strategies.dictionaries(
    strategies.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "other"]), JSON
)


@hypothesis.given(fields=FIELDS, claims=CLAIMS, text=strategies.text(max_size=40))
@hypothesis.settings(max_examples=50)
def test_any_token_is_good_or_refused(
    issuer: TokenIssuer, authenticator: Any, fields: Any, claims: Any, text: str
) -> None:
    good = issuer.token()
    tokens = [
        signed(_header(), {**issuer.claims(), **claims}, key()),
        signed(_header(**fields), issuer.claims(), key()),
        f"{text}.{text}.{text}",
        good[: len(text)] + text + good[len(text) :],
    ]

    async def ask_all() -> None:
        for token in tokens:
            try:
                actor = await authenticator(connection(f"Bearer {token.encode('utf-8', 'replace').decode('latin-1')}"))
            except RefusedCredentialError:
                continue
            assert actor is None or actor.id.startswith(f"{issuer.url}|")

    asyncio.run(ask_all())


def test_a_key_that_a_token_brings_is_not_looked_at(issuer: TokenIssuer, ask: Ask) -> None:
    urls = {"jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil", "jwk": public(ATTACKER)}

    assert ask(f"Bearer {issuer.token(header=urls)}") is not None
    assert "/evil" not in issuer.requests


def test_a_token_without_an_id_is_good_where_one_key_fits(issuer: TokenIssuer, ask: Ask) -> None:
    assert ask(f"Bearer {issuer.token(key('EC', 'P-384'), 'ES384', header={'kid': None})}") is not None


def test_only_algorithms_of_the_settings_are_good(issuer: TokenIssuer) -> None:
    ask = asking(issuer_settings(issuer, ALGORITHMS="ES256"))

    assert ask(f"Bearer {issuer.token(key('EC', 'P-256'), 'ES256')}") is not None
    with pytest.raises(RefusedCredentialError, match="ALGORITHMS"):
        ask(f"Bearer {issuer.token()}")


@pytest.mark.parametrize(
    ("settings", "claims", "scopes"),
    [
        ({}, {"scope": "shop:read  shop:write"}, {"shop:read", "shop:write"}),
        ({}, {"scope": ["shop:read", "all things"]}, {"shop:read", "all things"}),
        ({}, {"scope": None}, set()),
        ({"SCOPES_CLAIM": "scp"}, {"scp": "shop:read", "scope": "*"}, {"shop:read"}),
        ({"SCOPES_CLAIM": "roles"}, {"roles": ["admin"]}, {"admin"}),
        ({"SCOPES_CLAIM": "realm_access.roles"}, {"realm_access": {"roles": ["admin"]}}, {"admin"}),
        ({"SCOPES_CLAIM": "realm_access.roles"}, {"realm_access": ["roles"]}, set()),
        ({"SCOPES_CLAIM": "https://a.example/roles"}, {"https://a.example/roles": ["admin"]}, {"admin"}),
        ({"SCOPES_PREFIX": "shop/"}, {"scope": "shop/read bank/read read shop/"}, {"read"}),
        ({"SCOPES": "shop:use"}, {"scope": "shop:read"}, {"shop:use", "shop:read"}),
        ({"SCOPES_CLAIM": ""}, {"scope": "*"}, set()),
    ],
)
def test_scopes_are_where_the_settings_say(issuer: TokenIssuer, settings: Any, claims: Any, scopes: set[str]) -> None:
    actor = asking(issuer_settings(issuer, **settings))(f"Bearer {issuer.token(**claims)}")

    assert actor is not None
    assert actor.scopes == scopes


@pytest.mark.parametrize(
    ("required", "claims", "is_good"),
    [
        ({"hd": "example.com"}, {"hd": "example.com"}, True),
        ({"hd": "example.com"}, {"hd": "example.com.evil.example"}, False),
        ({"hd": "example.com"}, {}, False),
        ({"repository": ["shop/api", "shop/web"]}, {"repository": "shop/web"}, True),
        ({"repository": ["shop/api", "shop/web"]}, {"repository": "evil/web"}, False),
        ({"groups": "admins"}, {"groups": ["users", "admins"]}, True),
        ({"groups": "admins"}, {"groups": ["users"]}, False),
        ({"email_verified": True}, {"email_verified": True}, True),
        ({"email_verified": True}, {"email_verified": 1}, False),
        ({"email_verified": True}, {"email_verified": "true"}, False),
        ({"a.b": 1}, {"a": {"b": 1}}, True),
        ({"hd": "example.com", "level": 2}, {"hd": "example.com", "level": 1}, False),
    ],
)
def test_claims_must_be_as_the_settings_say(issuer: TokenIssuer, required: Any, claims: Any, is_good: bool) -> None:
    ask = asking(issuer_settings(issuer, CLAIMS=required, AUDIENCE=None))
    token = issuer.token(aud=None, **claims)

    if is_good:
        assert ask(f"Bearer {token}") is not None
    else:
        with pytest.raises(RefusedCredentialError, match="is not as CLAIMS has it"):
            ask(f"Bearer {token}")


def test_an_issuer_with_a_secret_has_no_keys(issuer: TokenIssuer) -> None:
    asked = len(issuer.requests)
    ask = asking(issuer_settings(issuer, SECRET=SECRET))
    token = signed_with_secret({"alg": "HS256"}, issuer.claims(), SECRET.encode())

    assert ask(f"Bearer {token}") is not None
    with pytest.raises(RefusedCredentialError, match="signature"):
        ask(f"Bearer {signed_with_secret({'alg': 'HS256'}, issuer.claims(), b'another one')}")
    with pytest.raises(RefusedCredentialError, match="ALGORITHMS"):
        ask(f"Bearer {issuer.token()}")
    assert len(issuer.requests) == asked


def test_each_issuer_has_its_own_keys(issuer: TokenIssuer) -> None:
    with token_issuer() as other:
        other.published = [public(ATTACKER, kid=key().kid)]
        ask = asking(issuer_settings(issuer), issuer_settings(other, AUDIENCE="other"))

        assert ask(f"Bearer {issuer.token()}") is not None
        actor = ask(f"Bearer {other.token(ATTACKER, header={'kid': key().kid}, aud='other')}")
        assert actor is not None
        assert actor.id == f"{other.url}|anna"
        with pytest.raises(RefusedCredentialError, match="signature"):
            ask(f"Bearer {issuer.token(ATTACKER, header={'kid': key().kid})}")


PLUGIN = """
    from typing import Annotated

    from fastapi import WebSocket
    from opa import Actor, Requires, get_router

    router = get_router()

    @router.get("/order")
    def order(actor: Annotated[Actor, Requires("shop:write")]):
        return actor.id

    @router.websocket("/socket")
    async def socket(websocket: WebSocket, actor: Annotated[Actor, Requires("shop:write")]):
        await websocket.accept()
        await websocket.send_text(actor.id)
"""


@pytest.fixture
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("ENV", "dev")
    project.plugin("shop.py", PLUGIN)
    forget_jwt()
    return project


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_route_is_for_callers_with_a_token(
    shop: Project, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.settings(JWT_ISSUERS=[{"issuer": issuer.url, "audience": AUDIENCE}])

    with shop.client() as client:
        wait_long(monkeypatch)
        good = client.get("/order", headers=bearer(issuer.token(scope="shop:*")))
        assert (good.status_code, good.json()) == (200, f"{issuer.url}|anna")
        with client.websocket_connect("/socket", headers=bearer(issuer.token(scope="shop:*"))) as socket:
            assert socket.receive_text() == f"{issuer.url}|anna"
        assert client.get("/order", headers=bearer(issuer.token())).status_code == 403
        for headers in ({}, bearer(issuer.token(exp=NOW - 3600)), bearer("a.b.c"), bearer("abc")):
            answer = client.get("/order", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"detail": "not authenticated"})
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_any_keys_it_is_503(shop: Project, issuer: TokenIssuer, capsys: pytest.CaptureFixture[str]) -> None:
    with token_issuer() as gone:
        shop.settings(JWT_ISSUERS=[{"issuer": gone.url, "audience": AUDIENCE}])
        token = gone.token(scope="shop:*")

    with shop.client() as client:
        assert client.get("/order", headers=bearer(token)).status_code == 503
        assert client.get("/order").status_code == 401
    assert "cannot be had" in capsys.readouterr().err


def test_nothing_is_imported_without_an_issuer(shop: Project) -> None:
    with shop.client() as client:
        assert client.get("/order", headers=bearer("a.b.c")).status_code == 401
        assert "opa.plugins.access_jwt" in sys.modules
        assert "opa.plugins.access_jwt.authenticator" not in sys.modules


def test_without_its_package_the_start_says_how_to_install_it(
    shop: Project, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.settings(JWT_ISSUERS=[{"issuer": issuer.url, "audience": AUDIENCE}])
    monkeypatch.setitem(sys.modules, "joserfc", None)

    with pytest.raises(OpaError, match=r"joserfc, which is not installed.*pip install 'opa-stack\[jwt\]'"):
        shop.prepare()

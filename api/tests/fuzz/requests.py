"""The parsers of what a request has: headers, paths, bodies, and the credentials in them."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import Any

from starlette.requests import HTTPConnection

from opa import is_from_own_page
from opa.access.address import address_of
from opa.errors import RefusedCredentialError
from opa.http import strict_json
from opa.http.access.rules import Rules as AccessRules
from opa.http.access.rules import readings
from opa.http.host_check import HostCheck
from opa.http.rate_limits.rules import Rules as LimitRules
from opa.http.slash_redirect import stays_here
from opa.http.webhooks.posting import LONGEST_WAIT, seconds_in
from opa.http.webhooks.schemes import HashOfBody, RefusedError, Scheme, scheme_named
from opa.http.websocket_origin import OriginCheck
from opa.jwt import claims as jwt_claims
from opa.jwt.keys import SecretKey, published_keys
from opa.jwt.token import Signatures, read
from opa.logging.request_id import MAX_LENGTH, is_request_id, request_id_of
from opa.plugins.access_jwt.authenticator import bearer_token
from opa.plugins.access_keys.check import token_in
from opa.plugins.access_keys.tokens import id_in, new_id, new_token
from opa.plugins.access_sessions.cookie import session_id_in
from opa.plugins.access_sessions.oidc.flow import Kept, begin, resume
from opa.plugins.access_sessions.oidc.rules import scopes_by
from opa.plugins.access_sessions.paths import own_path
from tests.fuzz.inputs import Choices
from tests.fuzz.parser import Parser


def scope_with(*headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    """That of a request with these headers."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    known = {"type": "http", "method": "POST", "path": "/", "scheme": "https", "query_string": b"", "root_path": ""}
    return {**known, "headers": raw, "client": ("127.0.0.1", 1), "server": ("testserver", 80), **more}


def _request_id(header: str) -> None:
    found = request_id_of(header.encode("latin-1"))
    assert 0 < len(found) <= MAX_LENGTH
    assert is_request_id(found.decode("ascii"))
    is_request_id(header)


KEY = new_token(new_id())


def _key_header(choices: Choices) -> list[tuple[str, str]]:
    names = ("authorization", "x-api-key", "accept")
    parts = ("Bearer ", "bearer", " ", "opa_", KEY, KEY[:20], KEY[30:], "Basic ", "0", "z", "=")
    return [(choices.one_of(names), choices.header(parts, 5)) for _ in range(choices.below(4))]


def _key(headers: list[tuple[str, str]]) -> None:
    with suppress(RefusedCredentialError):
        found = token_in(scope_with(*headers)["headers"])
        assert found is None or found.startswith("opa_")
        assert found is None or id_in(found) in (None, KEY[4:16])
    for _, text in headers:
        id_in(text)
        bearer_token(HTTPConnection(scope_with(("authorization", text))))


SECRET = "a secret of more than thirty-two bytes"
SIGNATURES = Signatures(["HS256"])
SECRET_KEY = SecretKey(SECRET)
CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "scope", "realm", "realm.roles", "roles")


def _token(choices: Choices) -> tuple[str, dict[str, Any]]:
    names = ("alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c")
    parts = ("HS256", "none", "RS256", "JWT", "at+jwt", "x", " ", "orders:read", "now")
    header = choices.mapping(names, parts, 1) if choices.is_rare() else {"alg": "HS256"}
    claims = choices.mapping(CLAIMS, parts)
    text = ".".join([*map(_segment, (header, claims)), choices.one_of(("", "AAAA", "a" * 43, "!", "=", "."))])
    if choices.is_rare():
        place = choices.below(len(text))
        text = text[:place] + choices.header(("=", ".", "e30", "W10"), 3) + text[place:]
    return text, claims


def _segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _jwt(given: tuple[str, dict[str, Any]]) -> None:
    text, claims = given
    with suppress(RefusedCredentialError):
        token = read(text)
        SIGNATURES.verify(token, SECRET_KEY._key)
    now = time.time()
    with suppress(RefusedCredentialError):
        assert jwt_claims.subject(claims).isprintable()
    with suppress(RefusedCredentialError):
        jwt_claims.check_times(claims, now, 60)
    with suppress(RefusedCredentialError):
        jwt_claims.check_audience(claims, ["x", "now"])
    with suppress(RefusedCredentialError):
        jwt_claims.check_required(claims, {"realm.roles": ["x"], "roles": True})
    with suppress(RefusedCredentialError):
        assert all(
            scope and not scope.startswith("orders:") for scope in jwt_claims.scopes_in(claims, "roles", "orders:")
        )


def _jwks(choices: Choices) -> Any:
    names = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "k", "key_ops")
    parts = ("RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "sig", "enc", "verify", "a" * 43, "_" * 342)
    keys = [choices.mapping(names, parts, 1) for _ in range(choices.below(3))]
    return {"keys": keys} if not choices.is_rare() else choices.value(parts)


def _published(document: Any) -> None:
    with suppress(ValueError):
        published_keys(document, "an issuer").find("x", "RS256")


def _cookie(choices: Choices) -> list[str]:
    parts = ("__Host-opa-session", "opa-session", "=", "; ", ";", " ", "a" * 43, "a" * 42, '"', "other=1")
    return [choices.header(parts) for _ in range(choices.below(3))]


def _session(headers: list[str]) -> None:
    connection = HTTPConnection(scope_with(*(("cookie", text) for text in headers), ("host", "localhost")))
    with suppress(RefusedCredentialError):
        found = session_id_in(connection)
        assert found is None or len(found) == 43


ORIGINS = (
    "https://",
    "http://",
    "testserver",
    "TESTSERVER",
    ":443",
    ":80",
    "null",
    "file://",
    "evil.example",
    "@",
    "same-origin",
)


PATH_PARTS = ("/", "//", "shop", "admin", ".", "..", "%2e", "%2F", "%252e", "%5c", "\\", "\n", "?", "#", ":", "é")
STATE = ("a" * 22, ".", "1" * 10, str(int(time.time())), "a" * 43, "-", "=", "L3Nob3A", "AAAA", "_")


def _sign_in(choices: Choices) -> tuple[str, str]:
    if choices.below(4):
        kept, flow = begin("example", choices.text(PATH_PARTS, 3), None, time.time())
        state = flow.state if choices.below(2) else choices.text(STATE, 6)
        return (str(kept) if kept.back.isascii() else "") + choices.header(STATE, 1), state
    return choices.header(STATE, 6), choices.text(STATE, 6)


def _resume(given: tuple[str, str]) -> None:
    cookie, state = given
    with suppress(RefusedCredentialError):
        resume("example", state, Kept.from_text(cookie), time.time())


def _said(choices: Choices) -> dict[str, Any]:
    parts = ("ada", "@", "example.com", "EXAMPLE.com", "true", "admins", " ")
    return choices.mapping(("email", "email_verified", "groups", "org", "name"), parts) | {
        "sub": choices.text(parts, 2)
    }


SIGN_IN_RULES = [
    {"EMAIL": ["ada@example.com"], "EMAIL_DOMAIN": [], "SUBJECT": [], "CLAIMS": {}, "SCOPES": ["a"]},
    {"EMAIL": [], "EMAIL_DOMAIN": ["example.com"], "SUBJECT": [], "CLAIMS": {"groups": ["admins"]}, "SCOPES": ["b"]},
    {"EMAIL": [], "EMAIL_DOMAIN": [], "SUBJECT": ["ada"], "CLAIMS": {"org.name": True}, "SCOPES": ["c"]},
]


def _allowed(claims: dict[str, Any]) -> None:
    found = scopes_by(SIGN_IN_RULES, claims)
    if claims.get("email_verified") not in (True, "true") and claims["sub"] != "ada":
        assert found is None


def _origin(choices: Choices) -> list[tuple[str, str]]:
    names = ("origin", "host", "sec-fetch-site", "cookie")
    return [(choices.one_of(names), choices.header(ORIGINS, 4)) for _ in range(choices.below(4))]


ORIGIN_CHECK = OriginCheck(["https://shop.example", "null"])


def _own_origin(headers: list[tuple[str, str]]) -> None:
    is_from_own_page(HTTPConnection(scope_with(*headers)))
    ORIGIN_CHECK.problem(scope_with(*headers, type="websocket"))


def _host(header: str) -> None:
    for check in HOST_CHECKS:
        check.problem(scope_with(("host", header), http_version="1.1"))


HOST_CHECKS = [HostCheck(trusted, lambda _: False) for trusted in ([], ["shop.example", "*.shop.example", "[::1]"])]


def _path(path: str) -> None:
    own = own_path(path)
    assert own is None or (own == path and own.startswith("/") and not own.startswith("//"))
    stays_here(
        [(b"location", path.encode("utf-8", "replace"))],
        scope_with(("host", "shop.example"), path=path.partition("?")[0]),
    )


ACCESS_RULES = AccessRules(
    {"/shop": "shop:use", "/shop/admin": ["shop:admin"], "/open": "open", "hello": "signed-in"}, "closed"
)
LIMIT_RULES = LimitRules({"/shop": {"LIMIT": "1/second", "BY": "actor"}, "*": {"LIMIT": "unlimited", "BY": "address"}})


def _rules(path: str) -> None:
    for reading in readings(path):
        ACCESS_RULES.for_path(reading)
    rule = ACCESS_RULES.for_request(path, lambda: {"hello"})
    if path.rstrip("/").startswith("/shop/admin"):
        assert not rule.is_open
    LIMIT_RULES.for_request(path, lambda: {"hello"})


def _scheme(name: str) -> Scheme:
    found = scheme_named(name)
    assert found is not None
    return found


SCHEMES = {
    **{name: _scheme(name) for name in ("github", "stripe", "slack", "standard")},
    "own": HashOfBody("X-Signature", "sha512", "base64", "v=", "X-Time"),
}
WEBHOOK_SECRET = b"whsec_" + base64.b64encode(b"a secret of thirty-two bytes or so")


def _signature(choices: Choices) -> tuple[str, list[str], bytes]:
    name = choices.one_of(list(SCHEMES))
    parts = ("t=", "v1=", "v0=", "v1,", "sha256=", ",", " ", "=", "a" * 64, "AAAA", str(int(time.time())), "v=")
    headers = [choices.header(parts, 6) for _ in SCHEMES[name].headers]
    return name, headers, choices.text(parts, 2).encode("utf-8", "surrogatepass")


def _verify(given: tuple[str, list[str], bytes]) -> None:
    name, texts, body = given
    headers = dict(zip(SCHEMES[name].headers, texts, strict=True))
    try:
        SCHEMES[name].verify(body, headers, [WEBHOOK_SECRET], 300.0)
    except RefusedError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - both ends are right
    else:
        raise AssertionError("nobody has signed this")


DATE_PARTS = ("Fri, ", "31 Dec 1999", " 23:59:59", " GMT", " -0000", "99999", "120", "-", ",", "(", " ", "Jan", "+9999")


def _wait(text: str) -> None:
    seconds = seconds_in(text)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


def _json(body: bytes) -> None:
    with suppress(json.JSONDecodeError):
        json.dumps(strict_json.loads(body), allow_nan=False).encode()


JSON_PARTS = (
    '{"a":',
    "}",
    "[",
    "]",
    ",",
    '"',
    "\\ud800",
    "\\u0000",
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 4400,
    "[" * 250,
    "1",
)

PARSERS = [
    Parser("request ids", lambda choices: choices.header(("a", "0", "-", "a" * 64, ".", "/", "=", "@")), _request_id),
    Parser("API keys", _key_header, _key),
    Parser("JWT", _token, _jwt),
    Parser("JWKS", _jwks, _published),
    Parser("session cookies", _cookie, _session),
    Parser("answers of providers", _sign_in, _resume),
    Parser("who may sign in", _said, _allowed),
    Parser("origins of pages", _origin, _own_origin),
    Parser("Host", lambda choices: choices.header(("shop", ".example", ":", "80", "[", "::1", "]", "*.", ".")), _host),
    Parser("paths to go back to", lambda choices: choices.text(PATH_PARTS), _path),
    Parser("paths in ACCESS and RATE_LIMITS", lambda choices: "/" + choices.text(PATH_PARTS), _rules),
    Parser("signatures of webhooks", _signature, _verify),
    Parser("Retry-After", lambda choices: choices.header(DATE_PARTS), _wait),
    Parser(
        "bodies of JSON",
        lambda choices: choices.text(JSON_PARTS).encode("utf-8", choices.one_of(("surrogatepass",))),
        _json,
    ),
    Parser(
        "addresses of clients",
        lambda choices: choices.text(("::1", "fe80", "::", ":", "%eth0", "10.0.0.1", "::ffff:", "/64")),
        lambda text: address_of(HTTPConnection(scope_with(client=(text, 1)))),
    ),
]
"""Those of what a request has."""

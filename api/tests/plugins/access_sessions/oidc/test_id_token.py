"""Which tokens of a provider say who has signed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.plugins.access_sessions.oidc.test_routes import sign_in_with
from tests.plugins.access_sessions.people import COOKIE, browser
from tests.project import Project
from tests.token_issuer import key, public, segment, signed, signed_with_secret

CHANGED: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "other"},
    "no audience": {"aud": None},
    "an audience that has ours in it": {"aud": f"{CLIENT_ID} other"},
    "several, and given to nobody": {"aud": [CLIENT_ID, "other"]},
    "several, and given to another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "given to another": {"azp": "other"},
    "given to a list": {"azp": [CLIENT_ID]},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "without an end": {"exp": None},
    "an end that is a text": {"exp": "9999999999"},
    "the nonce of another attempt": {"nonce": "A" * 43},
    "no nonce": {"nonce": None},
    "a nonce that is a list": {"nonce": ["A" * 43]},
    "a nonce beyond ASCII": {"nonce": "\u00e4" * 43},
    "a nonce that is half a character": {"nonce": "\ud800" * 43},
    "nobody": {"sub": None},
    "a person that is a number": {"sub": 1},
    "an empty person": {"sub": ""},
    "a person in two lines": {"sub": "a\nb"},
    "a person that is half a character": {"sub": "\ud800"},
}

PUBLIC_KEY = RSAKey.import_key(public(key())).as_pem(private=False)

Sign = Callable[[OidcProvider, dict[str, Any]], Any]
SIGNED: dict[str, Sign] = {
    "none": lambda _, claims: f"{segment({'alg': 'none'})}.{segment(claims)}.",
    "none with a signature": lambda _, claims: signed({"alg": "none"}, claims, key()),
    "HS256 with the public key": lambda provider, claims: signed_with_secret(
        {"alg": "HS256", "kid": key().kid}, claims, PUBLIC_KEY
    ),
    "HS256 with the client secret": lambda _, claims: signed_with_secret(
        {"alg": "HS256", "kid": key().kid}, claims, CLIENT_SECRET.encode()
    ),
    "a key of another issuer": lambda provider, claims: provider.signed(claims, key("RSA", 2048, 7), kid=key().kid),
    "a key that it brings": lambda provider, claims: provider.signed(
        claims, key("RSA", 2048, 7), jwk=public(key("RSA", 2048, 7))
    ),
    "changed": lambda provider, claims: ".".join(
        [
            *provider.signed(claims).split(".")[:1],
            segment({**claims, "sub": "eve"}),
            provider.signed(claims).split(".")[2],
        ]
    ),
    "of another type": lambda provider, claims: provider.signed(claims, typ="logout+jwt"),
    "encrypted": lambda *_: "a.b.c.d.e",
    "no token": lambda *_: "token",
    "a number": lambda *_: 5,
    "huge": lambda provider, claims: provider.signed({**claims, "x": "x" * 10_000}),
}


def test_a_token_that_is_not_as_it_must_be_signs_nobody_in(shop: Project, provider: OidcProvider) -> None:
    shop.settings(WRONG_ATTEMPTS_PER_ADDRESS=None)
    with browser(shop) as client:
        now = int(time.time())
        times = {"expired": {"exp": now - 120}, "not yet": {"nbf": now + 6000}, "of the future": {"iat": now + 6000}}
        for name, changed in {**CHANGED, **times}.items():
            provider.changed = changed
            assert sign_in_with(client).status_code == 403, name
        provider.changed = {}
        for name, sign in SIGNED.items():
            provider.sign = partial(sign, provider)
            assert sign_in_with(client).status_code in (403, 503), name
        assert COOKIE not in client.cookies
        provider.reset()
        assert sign_in_with(client).status_code == 303


@pytest.mark.parametrize(
    "changed", [{"aud": [CLIENT_ID]}, {"azp": CLIENT_ID}, {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}]
)
def test_a_token_for_us_signs_in(shop: Project, provider: OidcProvider, changed: dict[str, Any]) -> None:
    provider.changed = changed
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303


def test_clocks_may_differ_by_a_minute(shop: Project, provider: OidcProvider) -> None:
    now = int(time.time())
    provider.changed = {"exp": now - 1, "iat": now + 30}
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303


def test_new_keys_of_a_provider_are_fetched_at_most_twice_a_minute(
    shop: Project, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303
        provider.keys = [key("RSA", 2048, 1)]
        later = time.monotonic() + 31
        monkeypatch.setattr("opa.jwt.jwks.monotonic", lambda: later)
        assert sign_in_with(client).status_code == 303
        assert provider.requests.count("/jwks") == 2
        provider.keys = [key()]
        assert sign_in_with(client).status_code == 403, "it is asked again half a minute later"
        assert provider.requests.count("/jwks") == 2


def test_a_token_signed_with_another_algorithm_that_has_a_key_is_good(shop: Project, provider: OidcProvider) -> None:
    pair = key("EC", "P-256")
    provider.keys = [pair]
    provider.sign = lambda claims: signed({"alg": "ES256", "kid": pair.kid}, claims, pair, "ES256")
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303
